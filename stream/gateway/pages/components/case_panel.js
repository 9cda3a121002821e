// One case: the rule in words, value against threshold, the moments around it, evidence, statement of reasons.
import { html, useEffect, useMemo, useState } from "../html.js";
import { apiPath, get } from "../api.js";
import { MODALITIES, ago, clock, evidenceUrl, mediaTime, modalityName, signed, span, warningText, windowUrl, withArticle } from "../format.js";
import { navigate } from "../router.js";
import { may } from "../store.js";
import { Bars } from "./bars.js";
import { Icon } from "./icons.js";
import { Delta, Score } from "./score.js";
import { Severity } from "./severity.js";
import { Timeline } from "./timeline.js";

const AROUND_MS = 20_000;

export function CaseHead({ item, now }) {
  const { alert } = item;
  return html`<header class="case-head"><div class="row"><${Severity} severity=${alert.severity} /><span class="pill">${alert.rule}</span>
      ${item.cleared_at_ms && html`<span class="pill" title=${`The condition ended at ${clock(item.cleared_at_ms)}`}>no longer holds</span>`}
      ${item.acknowledged_by && html`<span class="pill">seen by ${withArticle(item.acknowledged_by)}</span>`}</div>
    <h2>${alert.title}</h2>
    <p class="quiet"><a href=${evidenceUrl(alert.window_id)}>${alert.session}</a> · ${alert.role === alert.track ? alert.track : `${alert.track}, ${alert.role}`} · ${mediaTime(alert.start_ms)} – ${mediaTime(alert.end_ms)} · raised ${ago(item.raised_at_ms, now)}</p>
  </header>`;
}

/** Who has the case. */
export function CaseStanding({ item, refused, now, mayDecide }) {
  if (item.state === "decided") return null;
  if (refused) return html`<div class="banner" role="note"><${Icon} name="alerts" /><p>Only to read: ${refused}.</p></div>`;
  if (item.mine) return html`<p class="small standing">Yours for ${span(item.claimed_until_ms - now)}; it is given back when you open another case.</p>`;
  if (item.state === "claimed") return html`<div class="banner" role="note"><p>Only to read: ${withArticle(item.claimed_by)} works on it until ${clock(item.claimed_until_ms)}.</p></div>`;
  if (!mayDecide) return html`<p class="small standing">Your role may look at cases, but not decide them.</p>`;
  return html`<p class="small standing">It becomes yours in a moment.</p>`;
}

export function Rule({ alert, hidden }) {
  return html`<section class="card"><h2>The rule</h2><p class="big rule-text">${alert.text}</p>
    ${!hidden && alert.value !== null && html`<${Meter} alert=${alert} />`}
    <dl class="facts">${!hidden && html`<dt>Holds since</dt><dd>${mediaTime(alert.since_ms)} of the session, ${span(alert.end_ms - alert.since_ms)} before it was raised</dd>`}
      ${alert.respond && html`<dt>Suggested</dt><dd>${alert.respond}</dd>`}
      <dt>Version</dt><dd class="mono">${alert.rule_version}</dd></dl></section>`;
}

/** Where the value stands against the threshold and the value at which the alert ends. */
function Meter({ alert: { value, threshold, clear_at: clear } }) {
  const marks = [value, threshold, clear].filter((mark) => mark !== null);
  const low = Math.min(...marks, value < 0 ? -3 : 0);
  const high = Math.max(...marks, value < 0 ? 0 : Math.max(1, ...marks));
  const place = (mark) => ({ left: `${((mark - low) / (high - low || 1)) * 100}%` });
  const number = (mark) => (Number.isInteger(mark) ? String(mark).replace("-", "\u2212") : signed(mark, 2).replace(/0$/, "").replace("+", ""));
  const beyond = threshold === null ? null : Math.abs(value - threshold);
  return html`<div class="meter"><div class="meter-bar" role="img" aria-label=${`Value ${number(value)}${threshold === null ? "" : `, threshold ${number(threshold)}`}${clear === null ? "" : `, ends at ${number(clear)}`}`}>
      ${threshold !== null && html`<span class="meter-mark" style=${place(threshold)}><i></i></span>`}
      ${clear !== null && html`<span class="meter-mark clear" style=${place(clear)}><i></i></span>`}
      <span class="meter-value" style=${place(value)}></span></div>
    <p class="row"><b>${number(value)}</b>${threshold !== null && html`<span>against the threshold <b>${number(threshold)}</b>, ${number(beyond)} beyond it</span>`}
      ${clear !== null && html`<span class="quiet">ends at ${number(clear)}</span>`}</p></div>`;
}

/** The scores of the track 20 seconds before and after. */
export function Around({ alert }) {
  const [windows, setWindows] = useState(null);
  useEffect(() => {
    let ended = false;
    const read = () => get(apiPath("sessions", alert.tenant, alert.session, "windows"), { track: alert.track, limit: 500 })
      .then((page) => !ended && setWindows(page.items), () => !ended && setWindows((known) => known ?? []));
    setWindows(null);
    read();
    const timer = setInterval(read, 10_000);
    return () => {
      ended = true;
      clearInterval(timer);
    };
  }, [alert.alert_id]);
  const range = [Math.max(0, alert.end_ms - AROUND_MS), alert.end_ms + AROUND_MS];
  const near = useMemo(() => (windows ?? []).filter(({ score }) => score.epoch === alert.epoch && score.end_ms >= range[0] && score.end_ms <= range[1])
    .sort((a, b) => a.score.end_ms - b.score.end_ms), [windows, alert.alert_id]);
  const flag = { end_ms: alert.end_ms, title: alert.title, severity: alert.severity, href: evidenceUrl(alert.window_id) };
  return html`<section class="card around"><div class="card-head"><h2>20 seconds before and after</h2><a class="plain" href=${evidenceUrl(alert.window_id)}>Open the session</a></div>
    ${windows === null ? html`<p class="quiet">Loading the scores</p>` : near.length
      ? html`<${Timeline} windows=${near} range=${range} flags=${[flag]} pinned=${near.find(({ score }) => score.window_id === alert.window_id) ?? null} label="Score around the alert"
          onPick=${(window) => window && navigate(windowUrl(window.score.window_id))} />`
      : html`<p class="quiet">The windows around it are not kept any more.</p>`}</section>`;
}

export function CaseEvidence({ item, me, onWords }) {
  const { alert: { evidence, window_id: windowId, end_ms: end } } = item;
  const items = MODALITIES.filter((each) => each in evidence.contributions).map((each) => ({ name: modalityName(each), value: evidence.contributions[each] }));
  if (evidence.earlier_windows) items.push({ name: modalityName("earlier"), value: evidence.earlier_windows });
  const spans = [...evidence.audio_spans.map((each) => ({ ...each, source: "voice" })), ...evidence.video_frames.map((each) => ({ ...each, source: "face" }))];
  return html`<section class="card"><div class="card-head"><h2>Evidence</h2><a class="plain" href=${windowUrl(windowId)}>All evidence of the window</a></div>
    <div class="case-score"><${Score} result=${evidence} large />${evidence.sentence && html`<p class="sentence">${evidence.sentence}</p>`}</div>
    ${items.length > 0 && html`<${Bars} items=${items} label="What moved the score, in score points" />`}
    ${evidence.claims.length > 0 && html`<h3 class="part">Phrases that were tested</h3>
      <ul class="claims">${evidence.claims.map((claim) => html`<li key=${claim.start_ms}>${claim.text ? html`<q>${claim.text}</q>` : html`<span class="hidden-words" aria-label="hidden words">${mediaTime(claim.start_ms)}</span>`}
        <${Delta} value=${claim.effect} /><span class="small">without it: ${claim.label_without}</span></li>`)}</ul>
      ${!item.shown && (may(me, "words") ? html`<button class="secondary" type="button" onClick=${onWords}>Show the words (w)</button> <span class="small">The audit trail notes who saw them.</span>`
        : html`<p class="small">Your role does not show what was said.</p>`)}`}
    ${spans.length > 0 && html`<h3 class="part">Strongest moments</h3><ul class="moments">${spans.map((each) => html`<li key=${each.source + each.start_ms}><span>${each.source}, ${span(end - each.start_ms)} before the end</span><${Delta} value=${each.relevance} /></li>`)}</ul>`}
    <${CaseWarnings} evidence=${evidence} /></section>`;
}

function CaseWarnings({ evidence }) {
  const texts = evidence.warnings.map(warningText);
  if (evidence.modalities_missing.length) texts.push(`Expected, but missing: ${evidence.modalities_missing.map(modalityName).join(", ")}.`);
  if (!texts.length) return null;
  return html`<ul class="warnings">${texts.map((text) => html`<li key=${text}>${text}</li>`)}</ul>`;
}

/** Blind mode: the viewer's own reading first, then the machine's. */
export function Blind({ onSay }) {
  return html`<section class="card blind"><h2>First your own reading</h2>
    <p class="quiet">Listen to or read this moment where your recordings are, then say how it comes across. The machine's label is shown after that.</p>
    <div class="row" role="group" aria-label="How it comes across">${["negative", "neutral", "positive"].map((label) => html`<button key=${label} class="secondary" type="button" onClick=${() => onSay(label)}>${label}</button>`)}
      <button class="plain" type="button" onClick=${() => onSay(null)}>I cannot tell</button></div></section>`;
}
