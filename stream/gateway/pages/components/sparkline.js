// A small line of scores over time. Gaps stay gaps.
import { html } from "../html.js";
import { signed } from "../format.js";
import { toneOf } from "./score.js";

const WIDTH = 132;
const HEIGHT = 32;
const y = (score) => HEIGHT / 2 - (score / 3) * (HEIGHT / 2 - 3);

const LONGEST_MS = 120_000;
const SHORTEST_MS = 40_000;

/** points: [[end_ms, score | null], …], oldest first; the newest two minutes of them are drawn. */
export function Sparkline({ points }) {
  const last = points.at(-1)?.[0] ?? 0;
  const lengthMs = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, last - (points[0]?.[0] ?? 0)));
  const first = last - lengthMs;
  const x = (end) => 2 + ((end - first) / lengthMs) * (WIDTH - 6);
  let path = "";
  let down = false;
  let end = null;
  let before = null;
  const step = commonStep(points);
  for (const [at, score] of points) {
    if (at < first) continue;
    if (score === null) {
      down = false;
      continue;
    }
    if (before !== null && at - before > 2.5 * step) down = false;
    path += `${down ? "L" : "M"}${x(at).toFixed(1)} ${y(score).toFixed(1)}`;
    if (!down) path += "h.01";  // a lone point is a dot
    down = true;
    before = at;
    end = [at, score];
  }
  const text = end ? `Last two minutes, now ${signed(end[1])}` : "No scores in the last two minutes";
  return html`<svg class=${`spark ${toneOf(end?.[1])}`} viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label=${text}>
    <line class="zero" x1="0" x2=${WIDTH} y1=${HEIGHT / 2} y2=${HEIGHT / 2} /><path d=${path} />
    ${end && html`<circle cx=${x(end[0])} cy=${y(end[1])} r="2.8" />`}</svg>`;
}

/** The usual distance of two windows, ms: a longer one is a gap. */
export function commonStep(points) {
  const steps = points.slice(1).map(([end], index) => end - points[index][0]).sort((a, b) => a - b);
  return steps[Math.floor(steps.length / 2)] || 2000;
}
