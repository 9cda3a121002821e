// Lists of bars: signed around a zero line, or shares from the left.
import { html } from "../html.js";
import { percent, signed } from "../format.js";
import { toneOf } from "./score.js";

/** Signed bars. items: [{key?, name, detail?, value, muted?}]; all share one scale, at least `least` wide. */
export function Bars({ items, label, least = 0.5, digits = 1 }) {
  const most = Math.max(least, ...items.map(({ value }) => Math.abs(value)));
  return html`<ul class="bars" aria-label=${label}>${items.map(({ key, name, detail, value, muted }) => {
    const width = (Math.abs(value) / most) * 50;
    const style = { left: `${value < 0 ? 50 - width : 50}%`, width: `${width}%` };
    return html`<li key=${key ?? name} class=${`bar ${toneOf(value, 0.5 * 10 ** -digits)}${muted ? " muted" : ""}`}>
      <span class="name">${name}${detail && html`<small>${detail}</small>`}</span>
      <span class="rail" aria-hidden="true"><i style=${style}></i></span><span class="value">${signed(value, digits)}</span></li>`;
  })}</ul>`;
}

/** Shares in [0, 1]. items: [{name, detail?, value, text?}]. */
export function Shares({ items, label }) {
  return html`<ul class="bars" aria-label=${label}>${items.map(({ name, detail, value, text }) => html`<li key=${name} class="bar share">
    <span class="name">${name}${detail && html`<small>${detail}</small>`}</span>
    <span class="rail" aria-hidden="true"><i style=${{ width: `${Math.min(1, Math.max(0, value)) * 100}%` }}></i></span>
    <span class="value">${text ?? percent(value)}</span></li>`)}</ul>`;
}
