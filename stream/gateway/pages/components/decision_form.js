// The decision on a case: nine choices, policy and reason, and the fields of the statement of reasons where something is restricted.
import { html, useEffect, useRef, useState } from "../html.js";
import { CATEGORIES, CHOICES, GROUNDS, decisionFrom } from "../decisions.js";

/** onDecide(decision, next) returns a promise; `choice` and `onChoose` are the page's, so that its keys can choose. */
export function DecisionForm({ item, choice, onChoose, onDecide, disabled }) {
  const form = useRef(null);
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const statement = item.alert.statement;
  const restricted = choice?.outcome === "restricted";
  useEffect(() => {
    if (choice) form.current?.querySelector(form.current.querySelector("[name=policy]").value ? "[name=reason]" : "[name=policy]").focus();
  }, [choice]);
  const decide = async (next) => {
    if (busy || !form.current.reportValidity()) return;
    setBusy(true);
    setProblem(null);
    try {
      await onDecide(decisionFrom(choice, new FormData(form.current), statement?.decision_facts), next);
    } catch (error) {
      setProblem(error.message);
    } finally {
      setBusy(false);
    }
  };
  const onKey = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      decide(true);
    } else if (event.key === "Escape") {
      event.target.blur();
      onChoose(null);
    }
  };
  return html`<section class="card decision"><h2>Decision</h2>
    <div class="choices" role="group" aria-label="What is decided">${CHOICES.map((each) => html`<button key=${each.key} type="button" class="secondary choice" disabled=${disabled}
      aria-pressed=${String(each === choice)} title=${each.detail} onClick=${() => onChoose(each === choice ? null : each)}><kbd>${each.key}</kbd>${each.name}</button>`)}</div>
    ${choice && html`<form ref=${form} onKeyDown=${onKey} onSubmit=${(event) => {
      event.preventDefault();
      decide(true);
    }}>
      <p class="small">${choice.detail}${restricted ? " The person concerned gets a statement of reasons." : ""}</p>
      <label>Policy or law<input name="policy" type="text" required maxlength="500" defaultValue=${statement?.policy ?? ""} placeholder="Code of conduct, section 3" /></label>
      <label>Reason<textarea name="reason" required maxlength="2000" rows="3" placeholder="Why, in one or two sentences"></textarea></label>
      ${restricted && html`<${Restriction} statement=${statement} />`}
      ${problem && html`<p class="problem" role="alert">${problem}</p>`}
      <div class="row"><button class="primary" type="submit" disabled=${busy || disabled}>Decide and next</button>
        <button class="secondary" type="button" disabled=${busy || disabled} onClick=${() => decide(false)}>Decide and stay</button>
        <span class="small">Ctrl+Enter decides, Esc leaves the form</span></div></form>`}
  </section>`;
}

function Restriction({ statement }) {
  return html`<div class="two"><label>Ground<select name="ground">${GROUNDS.map(([value, name]) => html`<option value=${value}>${name}</option>`)}</select></label>
    <label>Category<select name="category" required><option value="">choose</option>${CATEGORIES.map(([value, name]) => html`<option value=${value} selected=${value === statement?.category}>${name}</option>`)}</select></label></div>
    <details><summary>More of the statement of reasons</summary>
      <label>Facts<textarea name="facts" maxlength="5000" rows="6" defaultValue=${statement?.decision_facts ?? ""}></textarea></label>
      <div class="two"><label>Countries<input name="scope" type="text" placeholder="DE, FR" maxlength="120" /></label><label>Until<input name="end" type="date" /></label></div>
      <label>Where the policy can be read<input name="link" type="url" maxlength="500" placeholder="https://" /></label></details>`;
}
