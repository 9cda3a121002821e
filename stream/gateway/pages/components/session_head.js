// Name, state and exports of a session.
import { html } from "../html.js";
import { apiPath } from "../api.js";
import { ago, count, signed } from "../format.js";
import { Icon } from "./icons.js";

const STATE = { live: "live", quiet: "gone quiet", ended: "ended" };
const FORMATS = [["jsonl", "JSON lines"], ["csv", "CSV"], ["vcon", "vCon"]];

export function SessionHead({ tenant, session, state, now }) {
  return html`<div class="page-head"><a class="button-like icon-only" href="/" aria-label="Back to the board" title="Back to the board"><${Icon} name="back" /></a>
    <h1>${session}</h1>
    ${state && html`<span class=${`pill ${state.state}`}>${STATE[state.state]}</span>`}
    ${tenant !== "default" && html`<span class="pill">${tenant}</span>`}
    <span class="quiet">${state && `newest result ${ago(state.last_result_at_ms, now)}`}</span>
    <div class="grow"></div>
    <${Exports} tenant=${tenant} session=${session} />
    ${state?.summary && html`<${Ended} summary=${state.summary} />`}</div>`;
}

function Ended({ summary }) {
  const facts = [count(summary.windows, "window"), summary.mean !== null && `mean ${signed(summary.mean)}`, summary.trend !== null && `from start to end ${signed(summary.trend)}`].filter(Boolean);
  return html`<p class="ended-facts quiet">The session has ended: ${facts.join(", ")}.</p>`;
}

function Exports({ tenant, session }) {
  return html`<details class="menu-button"><summary class="secondary"><${Icon} name="download" label="Export" /><span>Export</span></summary>
    <ul>${FORMATS.map(([format, name]) => html`<li key=${format}><a href=${`${apiPath("sessions", tenant, session, "export")}?format=${format}`} download>${name}</a></li>`)}</ul></details>`;
}
