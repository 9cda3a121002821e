// The timelines of a session: a chart for each track, and under them the strips of the chosen one.
import { html, useMemo } from "../html.js";
import { MODALITIES, count, modalityName, percent, signed } from "../format.js";
import { withQuery } from "../router.js";
import { Modalities } from "./modalities.js";
import { Score } from "./score.js";
import { Strip } from "./strip.js";
import { Timeline } from "./timeline.js";

const SPANS = { auto: "3 min", long: "15 min", all: "All" };
const LENGTH_MS = { auto: 180_000, long: 900_000, all: Infinity };

export function SessionTimelines({ view, flags, state, onPick, onTrack, more }) {
  const { all, tracks, track, epoch, pinned, span } = view;
  const range = useMemo(() => rangeOf(all, span, pinned), [all, span, pinned]);
  const byTrack = useMemo(() => new Map(tracks.map((name) => [name, all.filter(({ score }) => score.track === name)])), [all, tracks.join("/")]);
  const pick = (window) => window && onPick(window);
  return html`<section class="card timelines" aria-label="Timeline"><div class="card-head"><h2>Over time</h2>
      <div class="row">${more && html`<button class="plain" type="button" onClick=${more}>Load older</button>`}
        <div class="segments" role="group" aria-label="How much time is shown">${Object.entries(SPANS).map(([name, text]) => html`<a key=${name} class="secondary" href=${withQuery({ span: name === "auto" ? null : name })}
          aria-current=${span === name ? "true" : undefined}>${text}</a>`)}</div></div></div>
    ${tracks.map((name) => html`<div key=${name} class=${`track ${name === track ? "chosen" : ""}`}>
      <${TrackHead} name=${name} state=${state} windows=${byTrack.get(name)} chosen=${name === track} single=${tracks.length === 1} onTrack=${onTrack} />
      <${Timeline} windows=${byTrack.get(name)} range=${range} pinned=${pinned?.score.track === name ? pinned : null} onPick=${pick} height=${name === track ? 140 : 84}
        flags=${flags.filter((flag) => flag.track === name && flag.epoch === epoch)} label=${`Score of ${name}`} />
      ${name === track && html`<${Strips} windows=${byTrack.get(name)} range=${range} pinned=${pinned} onPick=${pick} />`}
    </div>`)}
    <p class="legend small"><span class="hatch"></span>a person should look <span class="flag-mark">⚑</span> alert <span>A break in the line: nothing to score, or nothing came.</span></p>
  </section>`;
}

function TrackHead({ name, state, windows, chosen, single, onTrack }) {
  const present = state?.tracks.find((each) => each.track === name);
  const newest = windows.at(-1)?.score;
  const title = html`<b>${name}</b>${newest && newest.role !== name && html` <span class="quiet">${newest.role}</span>`}`;
  return html`<div class="track-head">${single ? title : html`<button type="button" class="plain" aria-pressed=${chosen} onClick=${() => onTrack(name)}>${title}</button>`}
    <${Score} result=${present ?? newest ?? {}} />
    ${present?.session_mean !== undefined && present?.session_mean !== null && html`<span class="quiet">session so far ${signed(present.session_mean)}</span>`}
    <div class="grow"></div><span class="quiet small">${count(windows.length, "window")}</span>${newest && html`<${Modalities} result=${present ?? newest} />`}</div>`;
}

function Strips({ windows, range, pinned, onPick }) {
  const used = MODALITIES.filter((name) => windows.some(({ explanation }) => Math.abs(explanation?.contributions[name] ?? 0) > 0.005));
  const rows = [...used.map((name) => [name, (window) => window.explanation?.contributions[name]]), ["earlier", (window) => window.explanation?.earlier_windows || null]];
  const most = Math.max(0.5, ...windows.flatMap((window) => rows.map(([, value]) => Math.abs(value(window) ?? 0))));
  const share = (name) => (window) => window.explanation?.attention_share?.[name] ?? null;
  const common = { windows, range, pinned, onPick };
  const selected = pinned ?? windows.at(-1);
  return html`<div class="strips"><h3 class="part">What moved the score</h3>
    ${rows.map(([name, value]) => html`<${Strip} key=${name} name=${modalityName(name)} value=${value} most=${most} text=${selected && signed(value(selected))} ...${common} />`)}
    <h3 class="part">Where the model looked</h3>
    ${[["causal", "causal attention"], ["shortcut", "shortcut attention"]].map(([name, text]) => html`<${Strip} key=${name} name=${text} value=${share(name)} most=${1} share
      text=${selected && percent(share(name)(selected))} ...${common} />`)}</div>`;
}

/** The media time that is shown, ms: the newest part, or the part around the pinned window. */
function rangeOf(windows, span, pinned) {
  const first = Math.min(...windows.map(({ score }) => score.start_ms));
  const last = Math.max(...windows.map(({ score }) => score.end_ms));
  const length = Math.min(LENGTH_MS[span] ?? LENGTH_MS.auto, Math.max(last - first, 20_000));
  let to = Math.max(last, first + length);
  const at = pinned?.score.end_ms;
  if (at !== undefined && at < to - length) to = Math.min(last, Math.max(at + length / 2, first + length));
  return [to - length, to];
}
