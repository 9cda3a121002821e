// A long list of rows of one height, of which only those in view are in the document. The page scrolls, not the list.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../html.js";

const SPARE = 4;

/**
 * items and rowHeight; `keyOf(item)`; `row(item, index)` draws the inside of a row. One stop of the Tab key: arrows, Home and End move
 * between rows, whose link has the class `row-link`.
 */
export function WindowedList({ items, rowHeight, keyOf, row, label }) {
  const list = useRef(null);
  const [range, setRange] = useState([0, 20]);
  const [current, setCurrent] = useState(null);
  const wanted = useRef(null);
  const measure = () => {
    if (!list.current) return;
    const top = -list.current.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / rowHeight) - SPARE);
    const last = Math.min(items.length, Math.ceil((top + window.innerHeight) / rowHeight) + SPARE);
    setRange((now) => (now[0] === first && now[1] === last ? now : [first, last]));
  };
  const latest = useRef(measure);
  latest.current = measure;
  useEffect(() => {
    let frame = null;
    const onScroll = () => {
      frame ??= requestAnimationFrame(() => {
        frame = null;
        latest.current();
      });
    };
    window.addEventListener("scroll", onScroll, { passive: true });
    window.addEventListener("resize", onScroll);
    return () => {
      cancelAnimationFrame(frame);
      window.removeEventListener("scroll", onScroll);
      window.removeEventListener("resize", onScroll);
    };
  }, []);
  useLayoutEffect(measure, [items.length, rowHeight]);
  useLayoutEffect(() => {
    if (wanted.current === null) return;
    const link = list.current.querySelector(`[data-index="${wanted.current}"] .row-link`);
    if (!link) return;
    wanted.current = null;
    link.focus({ preventScroll: true });
    link.closest("li").scrollIntoView({ block: "nearest" });
  });
  const indexOf = (key) => items.findIndex((item) => keyOf(item) === key);
  const at = current === null ? 0 : Math.max(0, indexOf(current));
  const shown = visible(range, items.length, at);
  const go = (index) => {
    wanted.current = index;
    setCurrent(keyOf(items[index]));
  };
  const onKeyDown = (event) => {
    if (!event.target.classList.contains("row-link")) return;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    go(Math.min(items.length - 1, Math.max(0, to)));
  };
  const onFocusIn = (event) => {
    const index = event.target.closest("li")?.dataset.index;
    if (index !== undefined && items[index]) setCurrent(keyOf(items[index]));
  };
  return html`<ul class="windowed" ref=${list} aria-label=${label} style=${{ height: `${items.length * rowHeight}px` }}
      onKeyDown=${onKeyDown} onFocusIn=${onFocusIn}>
    ${shown.map((index) => html`<li key=${keyOf(items[index])} data-index=${index} aria-setsize=${items.length} aria-posinset=${index + 1}
      style=${{ transform: `translateY(${index * rowHeight}px)`, height: `${rowHeight}px` }}>${row(items[index], index, index === at)}</li>`)}</ul>`;
}

/** The indices to draw: those in view, and the row that has the focus, wherever it is. */
function visible([first, last], length, at) {
  const indices = [];
  for (let index = first; index < Math.min(last, length); index += 1) indices.push(index);
  if (length && at < length && (at < first || at >= last)) indices.push(at);
  return indices;
}
