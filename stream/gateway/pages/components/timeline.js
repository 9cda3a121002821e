// The score of one track over time: gaps as gaps, windows to review hatched, alerts as flags, the pinned window marked.
import { html, useEffect, useLayoutEffect, useRef } from "../html.js";
import { mediaTime, signed } from "../format.js";
import { preferences } from "../preferences.js";
import { useStore } from "../stores.js";
import uPlot from "../vendor/uplot.js";
import { colours, hatching } from "./colours.js";
import { Icon } from "./icons.js";
import { commonStep } from "./sparkline.js";

export const LEFT = 44;
export const RIGHT = 20;
const MANY = 90;
const NEUTRAL = 0.5;
// Distances between labelled times, in whole seconds: labels have no fractions.
const TICKS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400];

/** Where a media time stands in a box as wide as the chart, as CSS. */
export const placeOf = (ms, [from, to]) => `calc(${LEFT}px + (100% - ${LEFT + RIGHT}px) * ${(ms - from) / (to - from)})`;

/** The window that was clicked on: the one that ends next to where the pointer is. */
export function windowAt(event, windows, [from, to]) {
  const box = event.currentTarget.getBoundingClientRect();
  const ms = from + ((event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT)) * (to - from);
  return windows.reduce((best, each) => (!best || Math.abs(each.score.end_ms - ms) < Math.abs(best.score.end_ms - ms) ? each : best), null);
}

/** windows: of one track, oldest first. range: [from, to] ms. pinned: a window or null. flags: [{end_ms, title, href}]. onPick(window). */
export function Timeline({ windows, range, pinned, flags = [], onPick, label, height = 132 }) {
  const place = useRef(null);
  const chart = useRef(null);
  const theme = useStore(preferences, (value) => value.theme);
  const now = useRef({});
  now.current = { windows, range };
  useLayoutEffect(() => {
    chart.current = new uPlot(options(place.current.clientWidth, height, now), columns(windows), place.current);
    const observer = new ResizeObserver(([entry]) => chart.current?.setSize({ width: entry.contentRect.width, height }));
    observer.observe(place.current);
    return () => {
      observer.disconnect();
      chart.current.destroy();
      chart.current = null;
    };
  }, [theme, height]);
  useEffect(() => chart.current?.setData(columns(windows)), [windows, range[0], range[1]]);
  return html`<div class="timeline" onClick=${(event) => !event.target.closest("a") && onPick(windowAt(event, windows, range))}>
    <div ref=${place} role="img" aria-label=${`${label}. ${spoken(windows, range)}`} style=${{ height: `${height}px` }}></div>
    ${flags.filter(({ end_ms: at }) => at >= range[0] && at <= range[1]).map((flag) => html`<a key=${flag.href} class=${`flag ${flag.severity}`} href=${flag.href} title=${flag.title}
      style=${{ left: placeOf(flag.end_ms, range) }}><${Icon} name="flag" label=${`Alert at ${mediaTime(flag.end_ms)}: ${flag.title}`} /></a>`)}
    ${pinned && html`<${Pin} ms=${pinned.score.end_ms} range=${range} />`}
  </div>`;
}

/** The line that marks the pinned window. */
export function Pin({ ms, range }) {
  if (ms < range[0] || ms > range[1]) return null;
  return html`<span class="pin" aria-hidden="true" style=${{ left: placeOf(ms, range) }}></span>`;
}

function spoken(windows, [from, to]) {
  const scores = windows.filter(({ score }) => score.end_ms >= from && score.end_ms <= to && score.score !== null).map(({ score }) => score.score);
  if (!scores.length) return "No scores in this span.";
  return `${scores.length} scores, from ${signed(Math.min(...scores))} to ${signed(Math.max(...scores))}, the last ${signed(scores.at(-1))}.`;
}

/** Columns of the chart: seconds and scores; a missing window leaves a gap. */
function columns(windows) {
  const times = [];
  const scores = [];
  const step = commonStep(windows.map(({ score }) => [score.end_ms]));
  for (const { score } of windows) {
    const at = score.end_ms / 1000;
    if (times.length && at - times.at(-1) > (2.5 * step) / 1000) {
      times.push(times.at(-1) + step / 1000);
      scores.push(null);
    }
    times.push(at);
    scores.push(score.score);
  }
  return [times, scores];
}

function options(width, height, now) {
  const ink = colours();
  const byScore = (soft) => (plot) => {
    const [top, upper, lower, bottom] = [3, NEUTRAL, -NEUTRAL, -3].map((value) => plot.valToPos(value, "y", true));
    const part = (position) => Math.min(1, Math.max(0, (position - top) / (bottom - top)));
    if (!Number.isFinite(top) || top === bottom) return ink.neutral;
    const paint = plot.ctx.createLinearGradient(0, top, 0, bottom);
    const [high, middle, low] = soft ? [ink["positive-soft"], ink.sunken, ink["negative-soft"]] : [ink.positive, ink.neutral, ink.negative];
    for (const [at, colour] of [[0, high], [part(upper), high], [part(upper), middle], [part(lower), middle], [part(lower), low], [1, low]]) {
      paint.addColorStop(at, colour);
    }
    return paint;
  };
  const axis = { stroke: ink.quiet, font: "12px system-ui, sans-serif", ticks: { show: false } };
  return {
    width, height, legend: { show: false }, cursor: { show: false }, padding: [8, RIGHT, 0, 0],
    scales: { x: { time: false, range: () => now.current.range.map((ms) => ms / 1000) }, y: { range: [-3, 3] } },
    axes: [
      { ...axis, size: 26, gap: 6, space: 72, incrs: TICKS, grid: { show: false }, values: (_, seconds) => seconds.map((each) => timeLabel(each * 1000, now.current.range)) },
      { ...axis, size: LEFT, splits: [-3, 0, 3], values: (_, values) => values.map((value) => signed(value, 0)), grid: { stroke: ink.line, width: 1 } },
    ],
    series: [{}, {
      stroke: byScore(false), width: 2, fill: byScore(true), fillTo: 0, spanGaps: false,
      points: { show: () => now.current.windows.length < MANY, size: 5, stroke: byScore(false), fill: byScore(false) },
    }],
    hooks: { draw: [(plot) => drawToReview(plot, now.current.windows, ink)] },
  };
}

/** None at the left edge, where the lowest score is written. */
const timeLabel = (ms, [from, to]) => (ms - from < (to - from) / 50 ? "" : mediaTime(ms));

function drawToReview(plot, windows, ink) {
  const { ctx: context, bbox } = plot;
  const step = commonStep(windows.map(({ score }) => [score.end_ms]));
  context.save();
  context.beginPath();
  context.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  context.clip();
  context.fillStyle = hatching(context, ink["line-strong"]);
  for (const { score } of windows) {
    if (!score.warnings.includes("to_review")) continue;
    const left = plot.valToPos((score.end_ms - step) / 1000, "x", true);
    const right = plot.valToPos(score.end_ms / 1000, "x", true);
    context.fillRect(left, bbox.top, right - left, bbox.height);
  }
  context.restore();
}
