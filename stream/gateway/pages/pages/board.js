// All sessions, the most urgent first.
import { html, useMemo, useRef } from "../html.js";
import { count, span } from "../format.js";
import { useShortcuts } from "../keys.js";
import { navigate, withQuery } from "../router.js";
import { SHOW, byUrgency, figures, fits } from "../sessions.js";
import { isStale, newestResult, sessionKey, store } from "../store.js";
import { useStore } from "../stores.js";
import { useScope } from "../scope.js";
import { BoardRow } from "../components/board_row.js";
import { useFrozenOrder } from "../components/frozen_order.js";
import { Icon } from "../components/icons.js";
import { useMedia } from "../components/media.js";
import { useNow } from "../components/now.js";
import { Empty, Failed, Loading, Stale } from "../components/states.js";
import { Upload } from "../components/upload.js";
import { WindowedList } from "../components/windowed_list.js";

const shortcuts = [
  { name: "filter", keys: ["/"], does: "filter by name" },
  { name: "settle", keys: ["o"], does: "take the new order" },
  { name: "wall", keys: ["w"], does: "show the wall" },
];

function Board({ query, me }) {
  useScope(null);
  const { sessions, loaded, failed, skew, link, version } = useStore(store);
  const now = useNow() + skew;
  const show = SHOW[query.get("show")] ? query.get("show") : "all";
  const words = (query.get("q") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const filter = useRef(null);
  const sorted = useMemo(
    () => [...sessions.values()].filter((state) => SHOW[show].keep(state) && fits(state, words)).sort(byUrgency),
    [sessions, version, show, words.join(" ")],
  );
  const order = useFrozenOrder(sorted, sessionKey);
  useShortcuts(shortcuts, { filter: () => filter.current?.focus(), settle: order.settle, wall: () => navigate("/wall") });
  if (failed && !loaded && !sessions.size) return html`<${Failed} problem=${failed} what="board" />`;
  if (!loaded && !sessions.size) return html`<${Loading} what="the sessions" />`;
  return html`<div class="page board">
    <div class="page-head"><h1>Board</h1>
      <div class="grow"></div>
      <label class="search"><span class="unseen">Filter by name of session, track or alert</span><${Icon} name="search" />
        <input ref=${filter} type="search" placeholder="Filter" value=${query.get("q") ?? ""}
          onInput=${(event) => navigate(withQuery({ q: event.target.value }), { replace: true })} /></label>
    </div>
    <${Figures} sessions=${sessions} now=${now} show=${show} />
    ${isStale(sessions, now) && link === "live" && html`<${Stale}>No live session has had a result for ${span(now - newestResult(sessions))}. A worker may be away: see <a href="/health">Health</a>.</${Stale}>`}
    <${Upload} me=${me} />
    ${sessions.size === 0 ? html`<${Nothing} />` : html`<${List} order=${order} now=${now} sessions=${sessions} />`}
  </div>`;
}

function List({ order, now, sessions }) {
  const narrow = useMedia("(max-width: 720px)");
  const manyTenants = useMemo(() => new Set([...sessions.values()].map(({ tenant }) => tenant)).size > 1, [sessions.size]);
  if (!order.items.length) return html`<${Empty} title="No session fits the filter"><p><a href="/">Show all ${count(sessions.size, "session")}</a></p></${Empty}>`;
  return html`<section class="board-list" aria-label="Sessions" ...${order.touch}>
    <div class="chip-place">${order.moved > 0 && html`<button class="chip" type="button" onClick=${order.settle}>${order.moved} moved · show the new order</button>`}</div>
    <${WindowedList} items=${order.items} rowHeight=${narrow ? 118 : 60} keyOf=${sessionKey} label="Sessions, the most urgent first"
      row=${(state, index, focusable) => html`<${BoardRow} state=${state} now=${now} focusable=${focusable} manyTenants=${manyTenants} />`} />
  </section>`;
}

function Figures({ sessions, now, show }) {
  const all = figures(sessions);
  const newest = newestResult(sessions);
  const tiles = [
    { show: "alerts", value: all.alerts, name: all.alerts === 1 ? "session with an alert" : "sessions with an alert", more: all.oldestAlert && `oldest ${span(now - all.oldestAlert)}`, loud: all.alerts > 0 },
    { show: "live", value: all.live, name: "live", more: all.scored > 0 && `${all.negative} negative now` },
    { show: "quiet", value: all.quiet, name: "gone quiet" },
    { show: "ended", value: all.ended, name: "ended" },
  ];
  return html`<div class="figures">${tiles.map(({ show: to, value, name, more, loud }) => html`<a key=${to} class=${`figure${loud ? " loud" : ""}`}
      href=${withQuery({ show: show === to ? null : to })} aria-current=${show === to ? "true" : undefined}><b>${value}</b><span>${name}</span>${more && html`<small>${more}</small>`}</a>`)}
    <div class="figure"><b>${newest ? span(now - newest) : "–"}</b><span>age of the data</span></div></div>`;
}

function Nothing() {
  return html`<${Empty} title="Nothing streams yet" command=${"sentistream produce clip.mp4 --transcript words.vtt"}>
    <p>Sessions appear here as soon as a worker has scored their first seconds. Send a recording, or your own chunks:</p></${Empty}>`;
}

export default { title: "Board", path: "/", component: Board, shortcuts, nav: { label: "Board", icon: "board" } };
