// For a screen on a wall: a few figures and the worst sessions. No names, no transcript, nobody is ranked.
import { html, useMemo } from "../html.js";
import { ago, span } from "../format.js";
import { useShortcuts } from "../keys.js";
import { navigate } from "../router.js";
import { useScope } from "../scope.js";
import { byUrgency, figures, leadTrack } from "../sessions.js";
import { isStale, newestResult, sessionKey, store } from "../store.js";
import { useStore } from "../stores.js";
import { useNow } from "../components/now.js";
import { Score } from "../components/score.js";
import { Severity } from "../components/severity.js";
import { Sparkline } from "../components/sparkline.js";
import { Empty, Failed, Loading } from "../components/states.js";

const WORST = 12;
const shortcuts = [{ name: "board", keys: ["w", "Escape"], does: "back to the board" }];

function Wall() {
  useScope(null);
  const { sessions, loaded, failed, skew, link, storeAway, version } = useStore(store);
  const now = useNow() + skew;
  useShortcuts(shortcuts, { board: () => navigate("/") });
  const worst = useMemo(() => [...sessions.values()].filter(({ state }) => state === "live").sort(byUrgency).slice(0, WORST), [sessions, version]);
  if (failed && !loaded && !sessions.size) return html`<${Failed} problem=${failed} what="wall" />`;
  if (!loaded && !sessions.size) return html`<${Loading} what="the sessions" />`;
  const all = figures(sessions);
  const newest = newestResult(sessions);
  const old = link === "away" || storeAway !== null || isStale(sessions, now);
  const tiles = [
    [all.alerts, "with an alert", all.oldestAlert && `oldest ${span(now - all.oldestAlert)}`, all.alerts ? "loud" : ""],
    [all.live, "live"],
    [all.scored ? `${Math.round((100 * all.negative) / all.scored)} %` : "–", "negative now"],
    [all.quiet, "gone quiet"],
    [newest ? span(now - newest) : "–", "age of the data", old && "the page stands still", old ? "loud" : ""],
  ];
  return html`<div class="wall"><h1 class="unseen">Wall</h1>
    <div class="wall-figures">${tiles.map(([value, name, more, kind]) => html`<div key=${name} class=${`wall-figure ${kind ?? ""}`}><b>${value}</b><span>${name}</span><small>${more || "\u00a0"}</small></div>`)}</div>
    ${worst.length ? html`<ul class="wall-tiles" aria-label="Sessions that need somebody first">${worst.map((state) => html`<${Tile} key=${sessionKey(state)} state=${state} now=${now} />`)}</ul>`
      : html`<${Empty} title="Nothing is live" command="sentistream produce clip.mp4"><p>Live sessions appear here by themselves.</p></${Empty}>`}
    <p class="wall-foot"><a href="/">Board</a></p></div>`;
}

function Tile({ state, now }) {
  const lead = leadTrack(state);
  return html`<li class=${`wall-tile ${state.alert?.severity ?? ""}`}>
    <div class="row between"><${Score} result=${lead ?? {}} large word=${false} />${state.alert && html`<${Severity} severity=${state.alert.severity} />`}</div>
    ${lead && html`<${Sparkline} points=${lead.history} />`}
    <p>${state.alert ? html`<b>${state.alert.title}</b> <span class="quiet">${span(now - state.alert.since_at_ms)}</span>` : html`<span class="quiet">${lead?.role ?? "nobody has spoken"}, ${ago(state.last_result_at_ms, now)}</span>`}</p></li>`;
}

export default { title: "Wall", path: "/wall", component: Wall, shortcuts, bare: true };
