// A thin band of one value over time, under the timeline and in step with it.
import { html, useEffect, useRef } from "../html.js";
import { preferences } from "../preferences.js";
import { useStore } from "../stores.js";
import { colours } from "./colours.js";
import { toneOf } from "./score.js";
import { commonStep } from "./sparkline.js";
import { LEFT, Pin, RIGHT, windowAt } from "./timeline.js";

/**
 * One bar for each window: `value(window)` in [-most, most] around a middle line; with `share`, in [0, most] from below, in one colour.
 * `text` says the value of the pinned window.
 */
export function Strip({ name, windows, range, value, most, share = false, pinned, text, onPick, height = 24 }) {
  const canvas = useRef(null);
  const theme = useStore(preferences, (state) => state.theme);
  useEffect(() => {
    const draw = () => canvas.current && paint(canvas.current, { windows, range, value, most, share, height });
    draw();
    const observer = new ResizeObserver(draw);
    observer.observe(canvas.current);
    return () => observer.disconnect();
  }, [windows, range[0], range[1], most, theme, height]);
  return html`<div class="strip-row"><span class="strip-name">${name}</span>
    <div class="strip-place" onClick=${(event) => onPick(windowAt(event, windows, range))}>
      <canvas ref=${canvas} class="strip" role="img" aria-label=${`${name} over time${text ? `; pinned window: ${text}` : ""}`} style=${{ height: `${height}px` }}></canvas>
      ${pinned && html`<${Pin} ms=${pinned.score.end_ms} range=${range} />`}</div>
    <span class="strip-value">${text}</span></div>`;
}

function paint(canvas, { windows, range: [from, to], value, most, share, height }) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const ink = colours();
  const inner = width - LEFT - RIGHT;
  const x = (ms) => LEFT + ((ms - from) / (to - from)) * inner;
  const middle = share ? height - 1 : height / 2;
  pen.fillStyle = ink.line;
  pen.fillRect(LEFT, middle - 0.5, inner, 1);
  const step = commonStep(windows.map(({ score }) => [score.end_ms]));
  for (const window of windows) {
    const { end_ms: end } = window.score;
    const number = end < from || end - step > to ? null : value(window);
    if (number === null || number === undefined) continue;
    const size = Math.min(1, Math.abs(number) / most) * (share ? height - 2 : height / 2 - 1);
    const left = Math.max(LEFT, x(end - step));
    pen.fillStyle = share ? ink["line-strong"] : ink[toneOf(number)];
    pen.fillRect(left, number > 0 ? middle - size : middle, Math.max(1, Math.min(x(end), LEFT + inner) - left - 1), size);
  }
}
