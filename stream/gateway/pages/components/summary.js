// The sentence of a window, and how sure it is.
import { html } from "../html.js";
import { mediaTime, sureness, windowUrl } from "../format.js";
import { Icon } from "./icons.js";
import { Modalities } from "./modalities.js";
import { Score } from "./score.js";
import { Warnings } from "./evidence.js";

const SURE = { high: "The model is sure.", medium: "The model is fairly sure.", low: "The model is not sure: a person should look." };

/** onStep(±1) and onLive, where the viewer can move between windows. */
export function Summary({ window, pinned, state, onStep, onLive }) {
  const { score, explanation } = window;
  const newest = state?.state === "live" ? "Newest window" : "Last window";
  return html`<section class=${`card summary ${pinned ? "pinned" : ""}`} aria-label=${pinned ? "Pinned window" : newest}>
    <div class="summary-score"><${Score} result=${score} large /><${Sureness} score=${score} /></div>
    <div class="summary-text"><p class="big">${explanation?.sentence ?? "The explanation of this window is not kept any more."}</p><${Warnings} score=${score} /></div>
    <div class="summary-foot">
      <span class=${`pill ${pinned ? "accent" : ""}`}>${pinned ? "Pinned" : newest}</span>
      <span>${score.track} · ${mediaTime(score.start_ms)} – ${mediaTime(score.end_ms)}</span><${Modalities} result=${score} />
      <div class="grow"></div>
      <a class="plain" href=${windowUrl(score.window_id)}>All evidence</a>
      ${pinned && html`<button class="secondary" type="button" onClick=${onLive} title="Follow the newest window (Esc)">Newest</button>`}
      <span class="steps"><button class="secondary square" type="button" onClick=${() => onStep(-1)} aria-label="The window before" title="The window before (←)"><${Icon} name="back" /></button>
      <button class="secondary square" type="button" onClick=${() => onStep(1)} aria-label="The window after" title="The window after (→)"><${Icon} name="next" /></button></span>
    </div>
  </section>`;
}

export function Sureness({ score }) {
  const sure = sureness(score);
  if (!sure) return null;
  const level = { low: 1, medium: 2, high: 3 }[sure];
  return html`<span class="sureness" title=${SURE[sure]}><span class="pips" aria-hidden="true">${[1, 2, 3].map((each) => html`<i class=${each <= level ? "on" : ""}></i>`)}</span>
    <span>how sure: <b>${sure}</b></span></span>`;
}
