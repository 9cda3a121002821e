// What moves the scores and should not: suspected artefacts as cards, reviewers' verdicts, versions of the model.
import { html, useState } from "../html.js";
import { post } from "../api.js";
import { ago, count, evidenceUrl, modalityName, percent, signed } from "../format.js";
import { useShortcuts } from "../keys.js";
import { usePolled } from "../polled.js";
import { may, store } from "../store.js";
import { useStore } from "../stores.js";
import { announce } from "../components/announcer.js";
import { useNow } from "../components/now.js";
import { Empty, Failed, Loading } from "../components/states.js";

const EVERY_MS = 30_000;
const shortcuts = [
  { name: "next", keys: ["j", "ArrowDown"], does: "the next suspect" },
  { name: "before", keys: ["k", "ArrowUp"], does: "the suspect before" },
  { name: "artefact", keys: ["1"], does: "it is an artefact" },
  { name: "genuine", keys: ["2"], does: "it is genuine" },
  { name: "unsure", keys: ["3"], does: "not sure" },
];
const SAID = [["artefact", "Artefact"], ["genuine", "Genuine"], ["unsure", "Unsure"]];

function Reveal({ me }) {
  const { data, problem, reload } = usePolled("/reveal", EVERY_MS);
  const now = useNow() + useStore(store, ({ skew }) => skew);
  const [given, setGiven] = useState({});
  const [fault, setFault] = useState(null);
  const judge = async (artefact, verdict) => {
    try {
      await post("/verdicts/artefacts", { artefact, verdict });
      setGiven((all) => ({ ...all, [artefact]: verdict }));
      setFault(null);
      announce(`Sent: ${artefact} is ${verdict === "unsure" ? "unsure" : `an ${verdict}`.replace("an genuine", "genuine")}.`);
      reload();
    } catch (error) {
      setFault(error.message);
    }
  };
  const focused = () => document.activeElement?.closest?.("[data-artefact]");
  const move = (by) => {
    const cards = [...document.querySelectorAll("[data-artefact]")];
    const next = cards[cards.indexOf(focused()) + by] ?? (focused() ? null : cards[0]);
    next?.focus();
  };
  const say = (verdict) => (focused() && may(me, "review") ? judge(focused().dataset.artefact, verdict) : false);
  useShortcuts(shortcuts, { next: () => move(1), before: () => move(-1), artefact: () => say("artefact"), genuine: () => say("genuine"), unsure: () => say("unsure") });
  if (!data) return problem ? html`<${Failed} problem=${problem} what="report" />` : html`<${Loading} what="the report" />`;
  const { report } = data;
  const suspects = (report?.nuisances ?? []).filter(({ state }) => state === "suspect");
  return html`<div class="page reveal"><div class="page-head"><h1>Reveal</h1><span class="quiet">what moves scores and should not</span><div class="grow"></div>
      ${report && html`<span class="quiet">${count(report.windows, "window")} probed · ${ago(report.at_ms, now)}</span>`}</div>
    ${(fault || problem) && html`<p class="problem" role="alert">${fault ?? problem.message}</p>`}
    ${!report && html`<${Empty} title="Nothing was probed yet" icon="reveal" command="SENTISTREAM_REVEAL__SHARE=1 sentistream worker"><p>Workers score a share of the windows again with hiss, hum, a dark or blurred picture, or a filler word: 2 in 100 by default. The report appears soon after the first of them. To probe every window:</p></${Empty}>`}
    ${report && (suspects.length
      ? html`<div class="suspects">${suspects.map((each) => html`<${Suspect} key=${each.says + each.version} suspect=${each} others=${report.nuisances.filter(({ says, version }) => says === each.says && version !== each.version)} verdicts=${data.verdicts} given=${given[each.name]} me=${me} onJudge=${judge} />`)}</div>`
      : html`<${NoSuspect} nuisances=${report.nuisances} />`)}
    ${report && html`<${Others} nuisances=${report.nuisances.filter(({ state }) => state !== "suspect")} alone=${!suspects.length} />`}
    <${Versions} versions=${data.versions} previous=${data.previous} me=${me} onChanged=${reload} />
  </div>`;
}

function Suspect({ suspect, others, verdicts, given, me, onJudge }) {
  const { name, says, modality, version, strength, windows, value, error, score_shift: shift, honest, warned } = suspect;
  const said = verdicts?.[name] ?? {};
  useStore(store, ({ version: of }) => of);
  const examples = warnedNow(store.get().sessions, name);
  return html`<section class="card suspect" tabindex="0" data-artefact=${name} aria-label=${`Suspect: ${says}`}>
    <div class="card-head"><h2>${says}</h2><span class="pill warn">${strength === null ? "suspect" : `${strength.toFixed(1)} times the limit`}</span></div>
    <${Range} value=${value} error=${error} honest=${honest} />
    <dl class="facts"><dt>In</dt><dd>${modalityName(modality)}, version ${version} of the model</dd>
      <dt>Seen in</dt><dd>${count(windows, "probed window")}${warned > 0 ? `, ${percent(warned / Math.max(1, windows))} of them moved far` : ""}</dd>
      <dt>Effect</dt><dd>${shift === null ? "not measured on the score" : `it moves the score by ${signed(shift, 2)} points; without it the score goes back`}</dd>
      ${examples.length > 0 && html`<dt>Warned of now</dt><dd>${examples.map(({ id, text }, index) => html`${index > 0 && "; "}<a key=${id} href=${evidenceUrl(id)}>${text}</a>`)}</dd>`}
      ${others.map((other) => html`<dt>Version ${other.version}</dt><dd>${signed(other.value, 2)} ± ${other.error.toFixed(2)}, ${other.state === "suspect" ? "a suspect as well" : other.state === "fine" ? "fine" : "too few windows"}</dd>`)}
      <dt>Reviewers</dt><dd>${SAID.map(([key, label]) => said[key] && `${said[key]} ${label.toLowerCase()}`).filter(Boolean).join(", ") || (verdicts ? "no verdict yet" : "Kafka is away")}</dd></dl>
    ${may(me, "review") && html`<div class="said" role="group" aria-label="Your verdict">${SAID.map(([key, label], index) => html`<button key=${key} class="secondary" type="button" aria-pressed=${String(given === key)} onClick=${() => onJudge(name, key)}><kbd>${index + 1}</kbd>${label}</button>`)}</div>`}
    <pre class="command" tabindex="0"><code>sentistream revise ${quoted(name)}${modality === "text" ? " --relief projection" : ""}</code></pre>
  </section>`;
}

const NAMED = 3;

/** The newest windows of sessions that carry the warning: [{id, text}]. */
function warnedNow(sessions, name) {
  const found = [];
  for (const { tenant, session, epoch, tracks } of sessions.values()) {
    for (const { track, warnings, history } of tracks) {
      if (!warnings.includes(`nuisance_sensitive:${name}`) || !history.length) continue;
      found.push({ id: `${tenant}/${session}/${track}/${epoch}-${history.at(-1)[0]}`, text: `${session}, ${track}` });
      if (found.length === NAMED) return found;
    }
  }
  return found;
}

const quoted = (name) => (/^[a-z]+$/.test(name) ? name : `"${name}"`);

/** The measured value with its error, beside what honest models show. */
function Range({ value, error, honest: [from, to] }) {
  const low = Math.min(value - error, from, 0);
  const high = Math.max(value + error, to, 0);
  const margin = (high - low || 1) * 0.06;
  const place = (mark) => `${((mark - low + margin) / (high - low + 2 * margin)) * 100}%`;
  const width = (a, b) => `calc(${place(b)} - ${place(a)})`;
  return html`<div class="range"><div class="range-bar" role="img" aria-label=${`It moves what the source adds by ${signed(value, 2)} points; honest models lie between ${signed(from, 2)} and ${signed(to, 2)}`}>
      <span class="honest" style=${{ left: place(from), width: width(from, to) }}></span><span class="error" style=${{ left: place(value - error), width: width(value - error, value + error) }}></span><span class="dot" style=${{ left: place(value) }}></span></div>
    <p class="row"><b>${signed(value, 2)}</b><span class="quiet">± ${error.toFixed(2)}; honest models ${signed(from, 2)} to ${signed(to, 2)}</span></p></div>`;
}

/** No suspect is not the same as nothing wrong: it says how many could be judged. */
function NoSuspect({ nuisances }) {
  const judged = nuisances.filter(({ state }) => state === "fine").length;
  return html`<${Empty} title=${judged ? "No suspect" : "Too few windows to judge"} icon="reveal">
    <p>${judged ? `${judged} of ${count(nuisances.length, "nuisance")} could be judged. None of them moves the scores further than in an honest model.` : "A nuisance is judged when 20 windows have been probed with it."}</p></${Empty}>`;
}

function Others({ nuisances, alone }) {
  if (!nuisances.length) return null;
  return html`<details class="card" open=${alone}><summary><h2>${count(nuisances.length, alone ? "nuisance" : "other nuisance")}</h2></summary><ul class="others">${nuisances.map((each) => html`<li key=${each.says + each.version}><b>${each.says}</b>
    <span class="quiet">${each.state === "fine" ? "fine" : "too few windows"} · ${signed(each.value, 2)} ± ${each.error.toFixed(2)} · ${count(each.windows, "window")}</span></li>`)}</ul></details>`;
}

function Versions({ versions, previous, me, onChanged }) {
  const [asked, setAsked] = useState(false);
  const [fault, setFault] = useState(null);
  const [busy, setBusy] = useState(false);
  if (versions === null) return html`<section class="card"><h2>Versions of the model</h2><p class="quiet">Triton does not answer, so the versions are not known.</p></section>`;
  const back = async () => {
    setBusy(true);
    try {
      await post("/reveal/rollback");
      setFault(null);
      announce(`New sessions get version ${previous} again.`);
      onChanged();
    } catch (error) {
      setFault(error.message);
    } finally {
      setBusy(false);
      setAsked(false);
    }
  };
  return html`<section class="card"><h2>Versions of the model</h2><ul class="services">${versions.map((each) => html`<li key=${each.version}><span class=${`pill ${each.in_force ? "live" : ""}`}>${each.in_force ? "in force" : each.version === previous ? "before" : "loaded"}</span>
      <div><b>Version ${each.version}</b> <span class="quiet"><span class="mono">${each.digest}</span> · ${count(each.open_epochs, "open session")}</span></div></li>`)}</ul>
    ${previous && may(me, "administer") && html`<div class="row rollback">${asked
      ? html`<span>New sessions get version ${previous}. Open ones keep theirs.</span><button class="primary" type="button" disabled=${busy} onClick=${back}>Go back to version ${previous}</button><button class="plain" type="button" onClick=${() => setAsked(false)}>Cancel</button>`
      : html`<button class="secondary" type="button" onClick=${() => setAsked(true)}>Go back to version ${previous}</button>`}</div>`}
    ${fault && html`<p class="problem" role="alert">${fault}</p>`}</section>`;
}

export default { title: "Reveal", path: "/reveal", component: Reveal, shortcuts, permission: "operate", nav: { label: "Reveal", icon: "reveal" } };
