// Why a window has its score: for the session's page and for the page of one window.
import { html } from "../html.js";
import { MODALITIES, mediaTime, modalityName, preciseTime, signed, warningText, withheldReason } from "../format.js";
import { Bars } from "./bars.js";
import { FaceGrid } from "./face.js";
import { Delta, Score } from "./score.js";

/** What moved the score, by source, and what it would be without each. */
export function Drivers({ score, explanation, digits = 1, expert = false }) {
  const heard = (each) => score.modalities_present.includes(each) || Math.abs(explanation.contributions[each] ?? 0) > 0.005;
  const items = MODALITIES.filter(heard).map((each) => ({ name: modalityName(each), value: explanation.contributions[each] ?? 0 }));
  if (explanation.earlier_windows) items.push({ name: modalityName("earlier"), value: explanation.earlier_windows });
  if (expert) items.push({ name: "base score", value: explanation.base_score ?? 0, muted: true });
  if (!items.length) return html`<p class="quiet">Nothing was there to move the score.</p>`;
  return html`<${Bars} items=${items} label="What moved the score, in score points" digits=${digits} />
    <${Without} score=${score} explanation=${explanation} />`;
}

/** "Without the voice it would be −0.2, neutral", where that is another label or another number. */
function Without({ score, explanation }) {
  const rows = MODALITIES.filter((each) => each in explanation.score_without)
    .map((each) => ({ name: `the ${modalityName(each)}`, score: explanation.score_without[each], label: explanation.label_without?.[each] ?? null }));
  if (explanation.score_without_earlier !== null && explanation.score_without_earlier !== undefined) {
    rows.push({ name: "earlier windows", score: explanation.score_without_earlier, label: explanation.label_without_earlier });
  }
  if (!rows.length) return null;
  return html`<ul class="without">${rows.map((row) => html`<li key=${row.name} class=${row.label !== score.label ? "changes" : ""}>
    <span>Without ${row.name}</span><${Score} result=${row} /></li>`)}</ul>`;
}

/** Words as bars, and the phrases whose effect was measured. `words`: whether the viewer may read them. */
export function Words({ explanation, words, digits = 1 }) {
  const { claims, rest } = explanation;
  if (!words) return html`<${HiddenWords} explanation=${explanation} />`;
  if (!explanation.words.length && !claims.length) return html`<p class="quiet">No words in this window.</p>`;
  const items = [...explanation.words].sort((a, b) => a.start_ms - b.start_ms)
    .map((word) => ({ key: `${word.start_ms} ${word.text}`, name: word.text, detail: mediaTime(word.start_ms), value: word.relevance }));
  if (rest?.text) items.push({ name: "other words", value: rest.text, muted: true });
  return html`<${Claims} claims=${claims} />
    ${explanation.counterfactual?.length > 0 && html`<p class="small">The fewest words whose removal changes the label: ${explanation.counterfactual.map((phrase) => html` <q>${phrase}</q>`)}</p>`}
    <h3 class="part">Strongest words</h3><${Bars} items=${items} label="Strongest words, in the order in which they were said" least=${0.2} digits=${digits} />`;
}

function Claims({ claims }) {
  if (!claims.length) return null;
  return html`<h3 class="part">Phrases that were tested</h3><ul class="claims">${claims.map((claim) => html`<li key=${claim.start_ms + claim.text}>
    <q>${claim.text}</q><${Delta} value=${claim.effect} /><span class="small">without it: ${claim.label_without}</span></li>`)}</ul>`;
}

function HiddenWords({ explanation }) {
  const items = explanation.words.map((word) => ({ key: word.start_ms, name: `at ${mediaTime(word.start_ms)}`, value: word.relevance }));
  return html`<p class="quiet">Your role does not show what was said: times and effects only.</p>
    ${items.length > 0 && html`<${Bars} items=${items} label="Strongest words, by their time" least=${0.2} />`}`;
}

/** Voice and face: the strongest moments, and where in the face. */
export function Moments({ explanation, digits = 1 }) {
  const { audio_spans: voice, video_frames: face, rest, face_maps: maps } = explanation;
  const bars = (spans, other, label, only) => {
    const items = spans.map((span) => ({ key: span.start_ms, name: only ? preciseTime(span.start_ms) : `${preciseTime(span.start_ms)} – ${preciseTime(span.end_ms)}`, value: span.relevance }));
    if (other) items.push({ name: "the rest", value: other, muted: true });
    return html`<${Bars} items=${items} label=${label} least=${0.2} digits=${digits} />`;
  };
  if (!voice.length && !face.length) return html`<p class="quiet">Neither voice nor face in this window.</p>`;
  return html`${voice.length > 0 && html`<h3 class="part">Voice</h3>${bars(voice, rest?.audio, "Strongest moments of the voice")}`}
    ${face.length > 0 && html`<h3 class="part">Face</h3>${bars(face, rest?.video, "Strongest moments of the face", true)}`}
    ${maps?.length > 0 && html`<${FaceGrid} maps=${maps} />`}`;
}

/** How the score moved since the windows before. */
export function Changes({ explanation }) {
  const changes = [["Since the window before", explanation.change?.since_previous], ["Since the start", explanation.change?.since_start]].filter(([, change]) => change);
  if (!changes.length) return html`<p class="quiet">No earlier window with a score to compare with.</p>`;
  return html`<dl class="changes">${changes.map(([name, change]) => html`<div key=${name}><dt>${name} <span class="small">(${mediaTime(change.from_ms)})</span></dt>
    <dd><${Delta} value=${change.score} /></dd><dd class="small">${parts(change)}</dd></div>`)}</dl>`;
}

function parts({ contributions, earlier_windows: earlier }) {
  const all = [...Object.entries(contributions), ...(earlier ? [["earlier", earlier]] : [])];
  return all.filter(([, value]) => Math.abs(value) >= 0.05).map(([name, value]) => `${modalityName(name)} ${signed(value)}`).join(" · ") || "nothing moved much";
}

/** "Voice and face: not used, by policy." */
function withheldTexts(withheld) {
  const reasons = [...new Set(Object.values(withheld))];
  return reasons.map((reason) => {
    const names = MODALITIES.filter((name) => withheld[name] === reason).map(modalityName).join(" and ");
    return `${names[0].toUpperCase()}${names.slice(1)}: ${withheldReason(reason)}.`;
  });
}

/** Reasons to read the result with care, in words. */
export function Warnings({ score }) {
  const texts = [...score.warnings.map(warningText), ...withheldTexts(score.withheld ?? {})];
  const missing = (score.modalities_expected ?? []).filter((each) => !score.modalities_present.includes(each) && !(each in (score.withheld ?? {})));
  if (missing.length && score.score !== null) texts.push(`Expected, but missing: ${missing.map(modalityName).join(", ")}.`);
  if (!texts.length) return null;
  return html`<ul class="warnings">${texts.map((text) => html`<li key=${text}>${text}</li>`)}</ul>`;
}
