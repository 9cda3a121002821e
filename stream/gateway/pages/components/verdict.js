// What a reviewer says of a window: right, wrong, right for the wrong reason, artefact, genuine. It goes to the topic `feedback`.
import { html, useEffect, useRef, useState } from "../html.js";
import { post, remove, apiPath } from "../api.js";
import { MODALITIES, mediaTime, modalityName } from "../format.js";
import { may, serverNow } from "../store.js";
import { useSecondsLeft } from "../undo.js";
import { announce } from "./announcer.js";

const CHOICES = [
  { verdict: "right", name: "Right" },
  { verdict: "wrong", name: "Wrong" },
  { verdict: "right_for_wrong_reason", name: "Right, for the wrong reason", span: true },
  { verdict: "artefact", name: "An artefact moved it", artefact: true, span: true },
  { verdict: "genuine", name: "Looks like an artefact, is genuine", artefact: true },
];
const KNOWN = ["hiss", "hum", "narrow band", "clipping", "blur", "dark", "filler word"];
const NAMES = Object.fromEntries(CHOICES.map(({ verdict, name }) => [verdict, name]));

/**
 * window: {score, explanation}. Nothing for viewers who may not review. On a live page the newest window moves on; a verdict that was begun
 * stays with its own.
 */
export function Verdict({ window: { score: newest }, me }) {
  const [held, setHeld] = useState(null);
  const score = held ?? newest;
  const [open, choose] = useState(null);
  const setOpen = (choice) => {
    choose(choice);
    setHeld(choice ? score : null);
  };
  const [sent, setSent] = useState(null);
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const left = useSecondsLeft(sent?.undo_until_ms, serverNow);
  if (!may(me, "review")) return null;
  const act = async (work) => {
    setBusy(true);
    setProblem(null);
    try {
      await work();
    } catch (error) {
      setProblem(error.message);
    } finally {
      setBusy(false);
    }
  };
  const send = (choice, more = {}) => act(async () => {
    const answer = await post("/verdicts", { window_id: score.window_id, verdict: choice.verdict, ...more });
    setSent({ ...answer, verdict: choice.verdict });
    choose(null);
    setHeld(score);
    announce(`Sent: ${choice.name}. You can undo it for ten seconds.`);
  });
  const again = () => {
    setSent(null);
    setHeld(null);
  };
  const undo = () => act(async () => {
    await remove(apiPath("verdicts", sent.id));
    again();
    announce("Taken back.");
  });
  return html`<section class="card verdict" aria-label="Your verdict"><div class="card-head"><h2>Your verdict <span class="small">on ${score.track}, ${mediaTime(score.start_ms)} – ${mediaTime(score.end_ms)}</span></h2><span class="small">It trains nothing by itself. Reviewers' verdicts are weighed when artefacts are revised.</span></div>
    ${sent
      ? html`<p class="row"><span class="pill accent">sent</span>${NAMES[sent.verdict]}
          ${left > 0 ? html`<button class="secondary" type="button" disabled=${busy} onClick=${undo}>Undo (${left} s)</button>` : html`<button class="plain" type="button" onClick=${again}>Give another</button>`}</p>`
      : html`<div class="row" role="group" aria-label="What is right or wrong with it">${CHOICES.map((choice) => html`<button key=${choice.verdict} type="button" class="secondary" disabled=${busy}
          aria-expanded=${choice.span || choice.artefact ? String(open === choice) : undefined}
          onClick=${() => (choice.span || choice.artefact ? setOpen(open === choice ? null : choice) : send(choice))}>${choice.name}</button>`)}</div>`}
    ${open && !sent && html`<${More} choice=${open} score=${score} busy=${busy} onSend=${(more) => send(open, more)} />`}
    ${problem && html`<p class="problem" role="alert">${problem}</p>`}
  </section>`;
}

/** Which nuisance, and which span of which source. */
function More({ choice, score, busy, onSend }) {
  const form = useRef(null);
  useEffect(() => form.current.querySelector("input, select").focus(), [choice]);
  const [whole, setWhole] = useState(!choice.span || choice.artefact);
  useEffect(() => setWhole(!choice.span || choice.artefact), [choice]);
  const submit = (event) => {
    event.preventDefault();
    const given = new FormData(form.current);
    const more = {};
    if (choice.artefact) more.artefact = given.get("artefact").trim();
    if (!whole) {
      const [from, to] = ["from", "to"].map((name) => score.start_ms + Math.round(Number(given.get(name)) * 1000));
      more.span = { modality: given.get("modality"), start_ms: from, end_ms: to, mask: given.get("mask") };
    }
    onSend(more);
  };
  const length = (score.end_ms - score.start_ms) / 1000;
  const sources = score.modalities_present.length ? MODALITIES.filter((each) => score.modalities_present.includes(each)) : MODALITIES;
  return html`<form ref=${form} class="more" onSubmit=${submit}>
    ${choice.artefact && html`<label>Name of the artefact<input name="artefact" type="text" list="known-artefacts" required maxlength="64" pattern="[ -~]+" placeholder="hiss" />
      <datalist id="known-artefacts">${KNOWN.map((name) => html`<option value=${name}></option>`)}</datalist></label>`}
    ${choice.span && html`<label class="switch"><input type="checkbox" checked=${whole} onChange=${(event) => setWhole(event.target.checked)} /> The whole window</label>`}
    ${choice.span && !whole && html`<div class="row span-row">
      <label>Source<select name="modality">${sources.map((each) => html`<option value=${each}>${modalityName(each)}</option>`)}</select></label>
      <label>From, s<input name="from" type="number" min="0" max=${length} step="0.1" defaultValue="0" required /></label>
      <label>To, s<input name="to" type="number" min="0.1" max=${length} step="0.1" defaultValue=${length} required /></label>
      <label>Says<select name="mask"><option value="not_evidence">this must not be used</option><option value="evidence">the feeling shows here</option></select></label></div>`}
    <button class="primary" type="submit" disabled=${busy}>Send</button>
  </form>`;
}
