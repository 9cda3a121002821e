// How grave an alert is: word and shape.
import { html } from "../html.js";

const SHAPES = { critical: "M6 0l6 6-6 6-6-6z", high: "M6 1l5.5 10H.5z", medium: "M1 1h10v10H1z", low: "M6 1a5 5 0 1 1 0 10A5 5 0 0 1 6 1z" };

/** "◆ critical" */
export function Severity({ severity, children }) {
  return html`<span class=${`pill severity ${severity}`}><svg viewBox="0 0 12 12" aria-hidden="true"><path d=${SHAPES[severity] ?? SHAPES.low} /></svg>${severity}${children && html` · ${children}`}</span>`;
}
