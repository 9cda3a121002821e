// A score as everybody sees it: arrow, sign, word; never the colour alone.
import { html } from "../html.js";
import { signed } from "../format.js";

const ARROWS = { negative: "M6 11L1 3h10z", positive: "M6 1l5 8H1z", neutral: "M1 5h5V2l5 4-5 4V7H1z", unclear: "M6 1l5 5-5 5-5-5z" };

/** `negative`, `neutral`, `positive`, or `unclear` where a person should look; null without a score. */
export function wordOf({ score, label, warnings = [] }) {
  if (score === null || score === undefined) return null;
  if (warnings.includes("to_review")) return "unclear";
  return label;
}

/** Which of the three colours a number has: it follows the sign, and is grey around zero. */
export function toneOf(value, edge = 0.05) {
  if (value === null || value === undefined || Math.abs(value) < edge) return "neutral";
  return value < 0 ? "negative" : "positive";
}

export function Arrow({ word }) {
  return html`<svg viewBox="0 0 12 12" aria-hidden="true"><path d=${ARROWS[word]} /></svg>`;
}

/** "▼ −1.8 negative". `result` has score, label and warnings. */
export function Score({ result, large = false, word = true }) {
  const name = wordOf(result);
  if (!name) return html`<span class=${large ? "score large" : "score"}><span class="word">no score</span></span>`;
  const tone = name === "unclear" ? "neutral" : name;
  return html`<span class=${`score ${tone}${large ? " large" : ""}`}><${Arrow} word=${name} /><span>${signed(result.score)}</span>
    <span class=${word ? "word" : "unseen"}>${name}</span></span>`;
}

/** A difference: "▲ +0.6". */
export function Delta({ value }) {
  const tone = toneOf(value);
  return html`<span class=${`score ${tone}`}><${Arrow} word=${tone} />${signed(value)}</span>`;
}
