// One session on the board.
import { html, useMemo } from "../html.js";
import { ago, alertUrl, evidenceUrl, sessionUrl, signed, span } from "../format.js";
import { leadTrack } from "../sessions.js";
import { Modalities } from "./modalities.js";
import { Score } from "./score.js";
import { Severity } from "./severity.js";
import { Sparkline } from "./sparkline.js";

const STATE = { live: "", quiet: "gone quiet", ended: "ended" };

/** `focusable`: whether the Tab key stops here. */
export function BoardRow({ state, now, focusable, manyTenants }) {
  const age = ago(state.last_result_at_ms, now);
  const alertAge = state.alert && span(now - state.alert.since_at_ms);
  return useMemo(() => draw({ state, age, alertAge, focusable, manyTenants }), [state, age, alertAge, focusable, manyTenants]);
}

function draw({ state, age, alertAge, focusable, manyTenants }) {
  const lead = leadTrack(state);
  const others = state.tracks.filter((track) => track !== lead);
  return html`<article class=${`board-row ${state.state}${state.alert ? ` alerted ${state.alert.severity}` : ""}`}>
    <div class="now">${lead ? html`<${Score} result=${lead} />` : html`<span class="quiet">no score yet</span>`}</div>
    <div class="who">
      <a class="row-link" href=${sessionUrl(state.tenant, state.session)} tabindex=${focusable ? 0 : -1}>${state.session}</a>
      <span class="tracks">${manyTenants && html`<span>${state.tenant}</span>`}
        ${lead && html`<span>${lead.speaking && state.state === "live" && html`<${Speaking} />`}${lead.track}</span>`}
        ${others.map((track) => html`<span key=${track.track} class="other">${track.speaking && state.state === "live" && html`<${Speaking} />`}${track.track} ${signed(track.score)}</span>`)}</span>
    </div>
    <div class="line">${lead && html`<${Sparkline} points=${lead.history} />`}</div>
    <div class="sources">${lead && html`<${Modalities} result=${lead} />`}</div>
    <div class="alert">${state.alert
      ? html`<a href=${alertUrl(state.alert.alert_id)} title=${state.alert.title}><${Severity} severity=${state.alert.severity} /><span class="title">${state.alert.title}</span>
          <span class="for">${alertAge}</span></a>`
      : lead?.sentence && html`<a class="why" href=${lead.is_final ? evidenceUrl(lead.window_id) : sessionUrl(state.tenant, state.session)} tabindex="-1" title=${lead.sentence}>${lead.sentence}</a>`}</div>
    <div class="age">${STATE[state.state] && html`<b>${STATE[state.state]}</b> `}<span>${age}</span></div>
  </article>`;
}

function Speaking() {
  return html`<span class="speaking" title="speaking now"><i></i><i></i><i></i><span class="unseen">speaking </span></span>`;
}
