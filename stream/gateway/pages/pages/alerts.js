// The moderation queue: one case at a time, by keyboard or pointer.
import { html, useCallback, useEffect, useState } from "../html.js";
import { post } from "../api.js";
import { clock, count, evidenceUrl, mediaTime, span, withArticle } from "../format.js";
import { STATES, casePath, useCase, useQueue } from "../cases.js";
import { CHOICES, choiceOf } from "../decisions.js";
import { useShortcuts } from "../keys.js";
import { preferences } from "../preferences.js";
import { navigate, withQuery } from "../router.js";
import { useScope } from "../scope.js";
import { may, serverNow, store } from "../store.js";
import { useStore } from "../stores.js";
import { useSecondsLeft } from "../undo.js";
import { announce } from "../components/announcer.js";
import { Around, Blind, CaseEvidence, CaseHead, CaseStanding, Rule } from "../components/case_panel.js";
import { DecisionForm } from "../components/decision_form.js";
import { Icon } from "../components/icons.js";
import { useNow } from "../components/now.js";
import { Severity } from "../components/severity.js";
import { Empty, Failed, Loading } from "../components/states.js";

const SNOOZE_MIN = 15;

const shortcuts = [
  { name: "next", keys: ["j", "ArrowDown"], does: "the next case" },
  { name: "before", keys: ["k", "ArrowUp"], does: "the case before" },
  { name: "skip", keys: ["s"], does: "skip: the next case, without a decision" },
  ...CHOICES.map(({ key, name }) => ({ name: `decide ${key}`, keys: [key], does: `decide: ${name.toLowerCase()}` })),
  { name: "undo", keys: ["u"], does: "undo the last decision (10 s)" },
  { name: "snooze", keys: ["z"], does: `snooze for ${SNOOZE_MIN} minutes` },
  { name: "acknowledge", keys: ["a"], does: "acknowledge: somebody has seen it" },
  { name: "words", keys: ["w"], does: "show the words" },
  { name: "evidence", keys: ["v"], does: "open the session at the alert" },
  { name: "blind", keys: ["b"], does: "blind mode: your own reading first" },
  { name: "close", keys: ["Escape"], does: "back to the queue" },
];

function Alerts({ query, me }) {
  useScope(null);
  const state = STATES.some(([name]) => name === query.get("state")) ? query.get("state") : "open";
  const id = query.get("id");
  const queue = useQueue(state);
  const now = useNow() + useStore(store, ({ skew }) => skew);
  const [last, setLast] = useState(null);
  const listed = withOpened(queue.cases, id);
  const open = useCallback((alertId) => navigate(withQuery({ id: alertId })), []);
  const step = (by, from = id) => {
    const index = listed.findIndex((item) => item.alert_id === from);
    const next = listed[index < 0 ? 0 : index + by];
    if (next) open(next.alert_id);
    return next;
  };
  const undo = async () => {
    if (!last) return;
    try {
      await post(casePath(last.alert_id, "/undo"));
      announce("The decision is undone. The case is yours again.");
      navigate(withQuery({ id: last.alert_id, state: null }));
      setLast(null);
      queue.reload();
    } catch (problem) {
      setLast({ ...last, problem: problem.message });
    }
  };
  const decided = (item, next) => {
    setLast(item);
    announce(`Decided: ${choiceOf(item.decision).name}. You can undo it for ten seconds.`);
    const after = listed[listed.findIndex((each) => each.alert_id === item.alert_id) + 1];
    if (next) navigate(withQuery({ id: after?.alert_id ?? null }));
    queue.reload();
  };
  useShortcuts(shortcuts, { next: () => step(1), before: () => step(-1), undo });
  if (queue.problem && !queue.loaded) return html`<${Failed} problem=${queue.problem} what="queue" />`;
  if (!queue.loaded) return html`<${Loading} what="the queue" />`;
  return html`<div class=${`page alerts${id ? " with-case" : ""}`}>
    <div class="page-head"><h1>Alerts</h1><${Tabs} state=${state} counts=${queue.counts} /><div class="grow"></div><${Facts} counts=${queue.counts} /></div>
    ${queue.problem && html`<div class="banner stale" role="note"><${Icon} name="alerts" /><p>The queue is as it was: ${queue.problem.message}</p></div>`}
    <${Last} last=${last} onUndo=${undo} onOver=${() => setLast(null)} />
    <div class="alerts-body"><${List} items=${listed} state=${state} id=${id} now=${now} more=${queue.more} />
      ${id ? html`<${CaseView} key=${id} id=${id} me=${me} now=${now} onDecided=${decided} onChange=${queue.reload} onSkip=${() => step(1) ?? open(null)} />`
        : listed.length > 0 && html`<div class="card pick"><p class="big">${state === "open" ? "Begin with the most urgent case." : "Choose a case."}</p><p class="quiet">Press <kbd>J</kbd> for the next case and <kbd>K</kbd> for the one before. <kbd>?</kbd> shows all keys.</p>
            <button class="primary" type="button" onClick=${() => step(0, null)}>Open the first case</button></div>`}</div>
  </div>`;
}

/** The opened case stays in its place of the list, also when it changes its state. */
function withOpened(cases, id) {
  const [kept, setKept] = useState([]);
  const missing = id && !cases.some((item) => item.alert_id === id);
  const before = kept.findIndex((item) => item.alert_id === id);
  const items = missing && before >= 0 ? [...cases.slice(0, before), kept[before], ...cases.slice(before)] : cases;
  useEffect(() => setKept(items), [cases, id]);
  return items;
}

function Tabs({ state, counts }) {
  return html`<nav class="segments" aria-label="Cases by state">${STATES.map(([name, title]) => html`<a key=${name} class="secondary" href=${name === "open" ? "/alerts" : `/alerts?state=${name}`} aria-current=${name === state ? "page" : undefined}>${title}${counts && html` <b>${counts[name]}</b>`}</a>`)}</nav>`;
}

function Facts({ counts }) {
  if (!counts) return null;
  return html`<p class="quiet queue-facts"><span><b>${counts.raised_last_hour}</b> ${counts.raised_last_hour === 1 ? "alert" : "alerts"} in the last hour</span>
    ${counts.oldest_open_ms !== null && html`<span>oldest open <b>${span(counts.oldest_open_ms)}</b></span>`}
    ${counts.unpublished > 0 && html`<span title="Decisions are published ten seconds after they were made; they wait while Kafka is away"><b>${counts.unpublished}</b> not yet published</span>`}
    ${counts.left_out > 0 && html`<span class="problem"><b>${counts.left_out}</b> left out: the queue is full</span>`}</p>`;
}

function Last({ last, onUndo, onOver }) {
  const left = useSecondsLeft(last?.undo_until_ms, serverNow);
  useEffect(() => {
    if (last && !last.problem && left === 0 && serverNow() > last.undo_until_ms) onOver();
  }, [left, last]);
  if (!last) return null;
  return html`<div class="banner last" role="note"><p>${last.problem ?? html`Decided: <b>${choiceOf(last.decision).name}</b>, ${last.alert.title}`}</p><div class="grow"></div>
    ${last.problem ? html`<button class="plain" type="button" onClick=${onOver}>Close</button>` : html`<button class="secondary" type="button" onClick=${onUndo}>Undo (U) · ${left} s</button>`}</div>`;
}

function List({ items, state, id, now, more }) {
  if (!items.length) {
    return state === "open"
      ? html`<${Empty} title="Nothing waits for a decision" icon="alerts" command="sentistream rules check configs/call-center.yaml"><p>Alerts appear here when a rule holds. Rules come from the file that the setting <code>alerts.rules</code> names. To check such a file:</p></${Empty}>`
      : html`<${Empty} title=${`No case is ${state}`} icon="alerts"><p><a href="/alerts">To the open cases</a></p></${Empty}>`;
  }
  return html`<section class="queue" aria-label="Cases, by severity and age"><ol>${items.map((item) => html`<li key=${item.alert_id}>
      <a class=${`queue-row ${item.alert.severity}`} href=${withQuery({ id: item.alert_id })} aria-current=${item.alert_id === id ? "true" : undefined}>
        <span class="row between"><${Severity} severity=${item.alert.severity} /><span class="small">${span(now - item.raised_at_ms)}</span></span>
        <b>${item.alert.title}</b><span class="small">${item.alert.session} · ${item.alert.role} · ${mediaTime(item.alert.end_ms)}</span>
        <${RowState} item=${item} now=${now} /></a></li>`)}</ol>
    ${more && html`<p class="small more-cases">The first ${count(items.length, "case")} are shown. Decide some to see the next.</p>`}</section>`;
}

function RowState({ item }) {
  if (item.state === "decided") return html`<span class="small">${choiceOf(item.decision).name}, by ${withArticle(item.decided_by)} at ${clock(item.decided_at_ms)}${item.published ? "" : ", not yet published"}</span>`;
  if (item.state === "claimed") return html`<span class="small">${item.mine ? "yours" : `${withArticle(item.claimed_by)} works on it`} until ${clock(item.claimed_until_ms)}</span>`;
  if (item.state === "snoozed") return html`<span class="small">until ${clock(item.snoozed_until_ms)}</span>`;
  return item.cleared_at_ms || item.acknowledged_by ? html`<span class="small">${[item.acknowledged_by && `seen by ${withArticle(item.acknowledged_by)}`, item.cleared_at_ms && "no longer holds"].filter(Boolean).join(" · ")}</span>` : null;
}

function CaseView({ id, me, now, onDecided, onChange, onSkip }) {
  const mayDecide = may(me, "decide");
  const { item, problem, refused, act } = useCase(id, { claims: mayDecide, onChange });
  const [choice, setChoice] = useState(null);
  const [said, setSaid] = useState(undefined);
  const [note, setNote] = useState(null);
  const blind = useStore(preferences, (value) => Boolean(value.blind));
  const working = item && item.state !== "decided" && mayDecide && !refused;
  const attempt = (work) => work().then(() => setNote(null), (error) => setNote(error.message));
  const toggleBlind = () => preferences.set({ blind: !blind });
  const decide = async (decision, next) => {
    const decided = await act("decide", decision);
    setChoice(null);
    onDecided(decided, next);
  };
  const sayBlind = (label) => {
    setSaid(label);
    const machine = item.alert.evidence.label;
    if (label && machine && may(me, "review")) attempt(() => post("/verdicts", { window_id: item.alert.window_id, verdict: label === machine ? "right" : "wrong" }));
  };
  const words = () => item && !item.shown && may(me, "words") && attempt(() => act("words"));
  const choices = Object.fromEntries(CHOICES.map((each) => [`decide ${each.key}`, () => (working ? setChoice(each) : false)]));
  useShortcuts(shortcuts, {
    ...choices,
    skip: onSkip,
    snooze: () => working && attempt(() => act("snooze", { minutes: SNOOZE_MIN }).then(onSkip)),
    acknowledge: () => working && attempt(() => act("acknowledge")),
    words,
    evidence: () => item && navigate(evidenceUrl(item.alert.window_id)),
    blind: toggleBlind,
    close: () => navigate(withQuery({ id: null })),
  });
  if (problem) return html`<div class="case"><${Failed} problem=${problem} what="alert" /></div>`;
  if (!item) return html`<div class="case"><${Loading} what="the case" /></div>`;
  const hidden = blind && said === undefined && item.state !== "decided" && may(me, "review");
  return html`<article class="case" aria-label=${item.alert.title}>
    <div class="row case-tools"><a class="plain" href=${withQuery({ id: null })}><${Icon} name="back" />Queue</a><div class="grow"></div>
      <label class="switch"><input type="checkbox" checked=${blind} onChange=${toggleBlind} /> Blind mode</label>
      ${working && html`<button class="plain" type="button" onClick=${() => attempt(() => act("acknowledge"))} disabled=${Boolean(item.acknowledged_by)}>Acknowledge</button>
        <button class="plain" type="button" onClick=${() => attempt(() => act("snooze", { minutes: SNOOZE_MIN }).then(onSkip))}>Snooze ${SNOOZE_MIN} min</button>`}
      <button class="plain" type="button" onClick=${onSkip}>Skip</button></div>
    <${CaseHead} item=${item} now=${now} /><${CaseStanding} item=${item} refused=${refused} now=${now} mayDecide=${mayDecide} />
    ${note && html`<p class="problem" role="alert">${note}</p>`}
    <div class="case-body"><div class="stack">
        <${Rule} alert=${item.alert} hidden=${hidden} />
        ${hidden ? html`<${Blind} onSay=${sayBlind} />` : html`${said !== undefined && html`<${Compared} said=${said} machine=${item.alert.evidence.label} />`}
          <${Around} alert=${item.alert} /><${CaseEvidence} item=${item} me=${me} onWords=${words} />`}</div>
      <div class="stack decide-column">${item.state === "decided" ? html`<${Made} item=${item} />`
        : mayDecide && html`<${DecisionForm} item=${item} choice=${choice} onChoose=${setChoice} onDecide=${decide} disabled=${!working || hidden} />`}
        ${!hidden && item.alert.statement && html`<${Draft} statement=${item.alert.statement} />`}</div></div>
  </article>`;
}

function Compared({ said, machine }) {
  if (said === null) return html`<p class="banner" role="status">You could not tell. The model says ${machine ?? "nothing"}.</p>`;
  return html`<p class="banner" role="status">You said <b>${said}</b>, the model says <b>${machine ?? "nothing"}</b>. Your verdict is sent.</p>`;
}

function Made({ item: { decision, decided_by: by, decided_at_ms: at, published } }) {
  return html`<section class="card"><h2>${choiceOf(decision).name}</h2><dl class="facts"><dt>Policy</dt><dd>${decision.policy}</dd><dt>Reason</dt><dd>${decision.reason}</dd>
    <dt>By</dt><dd>${withArticle(by)}, at ${clock(at)}</dd><dt>Published</dt><dd>${published ? "in the topic decisions" : "not yet"}</dd></dl></section>`;
}

function Draft({ statement }) {
  return html`<details class="card draft"><summary><h2>Statement of reasons, draft</h2></summary>
    <dl class="facts"><dt>Content</dt><dd>${statement.content_type.map((type) => type.replace("CONTENT_TYPE_", "").toLowerCase()).join(", ")}</dd>
      ${statement.content_date && html`<dt>Date</dt><dd>${statement.content_date}</dd>`}
      ${statement.category && html`<dt>Category</dt><dd>${statement.category.replace("STATEMENT_CATEGORY_", "").replaceAll("_", " ").toLowerCase()}</dd>`}
      <dt>Found</dt><dd>by a rule; a person decides</dd><dt>Contest</dt><dd>${statement.contest}</dd></dl>
    <p class="facts-text">${statement.decision_facts}</p></details>`;
}

export default { title: "Alerts", path: "/alerts", component: Alerts, shortcuts, permission: "alerts", nav: { label: "Alerts", icon: "alerts", badge: "alerts" } };
