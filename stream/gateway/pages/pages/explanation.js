// All evidence of one window: in plain words, or everything for experts.
import { html, useEffect, useState } from "../html.js";
import { apiPath, get } from "../api.js";
import { evidenceUrl, mediaTime, modalityName, percent, sessionUrl, signed } from "../format.js";
import { useShortcuts } from "../keys.js";
import { navigate, withQuery } from "../router.js";
import { useScope } from "../scope.js";
import { may } from "../store.js";
import { Shares } from "../components/bars.js";
import { Changes, Drivers, Moments, Warnings, Words } from "../components/evidence.js";
import { Icon } from "../components/icons.js";
import { Modalities } from "../components/modalities.js";
import { Score } from "../components/score.js";
import { Failed, Loading } from "../components/states.js";
import { Sureness } from "../components/summary.js";
import { Verdict } from "../components/verdict.js";

const shortcuts = [
  { name: "view", keys: ["x"], does: "plain or expert" },
  { name: "session", keys: ["Escape", "u"], does: "back to the session, at this window" },
];

function Explanation({ params: { tenant, session, track, window }, query, me }) {
  useScope(`${tenant}/${session}`);
  const [result, setResult] = useState({});
  useEffect(() => {
    const abort = new AbortController();
    setResult({});
    get(apiPath("windows", tenant, session, track, window), null, { signal: abort.signal })
      .then((value) => setResult({ value }), (problem) => problem.name !== "AbortError" && setResult({ problem }));
    return () => abort.abort();
  }, [tenant, session, track, window]);
  const expert = query.get("view") === "expert";
  const other = withQuery({ view: expert ? null : "expert" });
  const here = evidenceUrl([tenant, session, track, window].join("/"));
  useShortcuts(shortcuts, { view: () => navigate(other, { replace: true }), session: () => navigate(here) });
  if (result.problem) return html`<${Failed} problem=${result.problem} what="window" />`;
  if (!result.value) return html`<${Loading} what="the window" />`;
  const { score, explanation } = result.value;
  return html`<div class="page explanation">
    <div class="page-head"><a class="button-like" href=${here} aria-label="Back to the session, at this window" title="Back to the session (Esc)"><${Icon} name="back" /></a>
      <h1>${track}, ${mediaTime(score.start_ms)} – ${mediaTime(score.end_ms)}</h1>
      <span class="quiet">in <a href=${sessionUrl(tenant, session)}>${session}</a></span><div class="grow"></div>
      <div class="segments" role="group" aria-label="How much is shown"><a class="secondary" href=${expert ? other : withQuery({})} aria-current=${expert ? undefined : "true"}>Plain</a>
        <a class="secondary" href=${expert ? withQuery({}) : other} aria-current=${expert ? "true" : undefined}>Expert</a></div></div>
    <section class="card summary"><div class="summary-score"><${Score} result=${score} large /><${Sureness} score=${score} /></div>
      <div class="summary-text"><p class="big">${explanation?.sentence ?? "The explanation of this window is not kept any more."}</p><${Warnings} score=${score} /></div>
      <div class="summary-foot"><span>Sources</span><${Modalities} result=${score} />${score.arousal !== null && score.arousal !== undefined && html`<span>voice: ${excited(score.arousal)}</span>`}</div></section>
    ${explanation && html`<${Evidence} score=${score} explanation=${explanation} expert=${expert} words=${may(me, "words")} />`}
    ${expert && html`<${Figures} score=${score} explanation=${explanation} />`}
    <${Verdict} window=${{ score, explanation }} me=${me} />
  </div>`;
}

function Evidence({ score, explanation, expert, words }) {
  const digits = expert ? 3 : 1;
  return html`<div class="evidence">
    <div class="stack"><section class="card"><h2>What moved the score</h2><${Drivers} score=${score} explanation=${explanation} digits=${digits} expert=${expert} /></section>
      <section class="card"><h2>What changed</h2><${Changes} explanation=${explanation} /></section></div>
    <section class="card"><h2>Words</h2><${Words} explanation=${explanation} words=${words} digits=${digits} /></section>
    <section class="card"><h2>Voice and face</h2><${Moments} explanation=${explanation} digits=${digits} /></section>
  </div>`;
}

/** For experts: every figure that the records hold. */
function Figures({ score, explanation }) {
  const attention = explanation?.attention_share;
  const probabilities = Object.entries(score.probabilities);
  const truth = claimsAgree(explanation);
  return html`<div class="evidence">
    <section class="card"><h2>Probabilities</h2>${probabilities.length
      ? html`<${Shares} items=${probabilities.map(([name, value]) => ({ name, value, text: percent(value) }))} label="Calibrated probability of each label" />`
      : html`<p class="quiet">No score, so no probabilities.</p>`}
      <p class="small note">Calibrated for these sources: of a hundred windows with 70 %, about seventy are right.</p></section>
    <section class="card"><h2>Where the model looked</h2>${attention
      ? html`<${Shares} items=${[{ name: "causal", value: attention.causal }, { name: "shortcut", value: attention.shortcut }]} label="Share of the evidence in each attention" />`
      : html`<p class="quiet">No score, so no attention.</p>`}
      <p class="small note">The names are those of the network's two streams. They do not tell right results from wrong ones.</p></section>
    <section class="card"><h2>How it was made</h2><dl class="facts">
      <dt>Score</dt><dd>${signed(score.score, 3)}</dd>
      ${explanation && html`<dt>Base score</dt><dd>${signed(explanation.base_score, 3)}</dd>`}
      <dt>Confidence</dt><dd>${score.confidence === null ? "–" : score.confidence.toFixed(3)}</dd>
      <dt>Shares</dt><dd>${Object.entries(score.shares).map(([name, value]) => `${modalityName(name)} ${percent(value)}`).join(", ") || "–"}</dd>
      ${truth && html`<dt>Word truth</dt><dd>${truth}</dd>`}
      <dt>Faces</dt><dd>${score.faces}</dd>
      <dt>Clock skew</dt><dd>${Object.entries(score.sync ?? {}).map(([name, skew]) => `${modalityName(name)} ${skew.offset_ms.toFixed(0)} ms`).join(", ") || "none measured"}</dd>
      <dt>Warnings</dt><dd>${score.warnings.join(", ") || "none"}</dd>
      <dt>Model</dt><dd>${score.model.name}, version ${score.model.version}</dd>
      <dt>Digest</dt><dd class="mono">${score.model.digest}</dd>
      <dt>Window</dt><dd class="mono">${score.window_id}</dd></dl></section>
  </div>`;
}

/** Whether the phrase with the largest measured effect is among the words that the attribution lists. */
function claimsAgree(explanation) {
  const claim = explanation?.claims[0];
  if (!claim) return null;
  const inside = explanation.words.some((word) => word.relevance * claim.effect > 0 && word.start_ms >= claim.start_ms && word.end_ms <= claim.end_ms);
  return `${explanation.claims.length} measured by leaving it out; the strongest changes the score by ${signed(claim.effect, 3)}, and the listed words ${inside ? "agree" : "do not agree"}`;
}

const excited = (arousal) => (arousal < 0.35 ? "calm" : arousal < 0.65 ? "lively" : "excited");

export default { title: "Window", titleOf: ({ session, track, window }) => `${track} ${window} of ${session}`, path: "/windows/:tenant/:session/:track/:window", component: Explanation, shortcuts };
