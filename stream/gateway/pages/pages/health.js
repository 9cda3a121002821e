// How the service is: what works, how old the data is, how much there is to do.
import { html } from "../html.js";
import { ago, count, percent, span } from "../format.js";
import { useShortcuts } from "../keys.js";
import { usePolled } from "../polled.js";
import { store } from "../store.js";
import { useStore } from "../stores.js";
import { Icon } from "../components/icons.js";
import { useNow } from "../components/now.js";
import { Failed, Loading, Notice } from "../components/states.js";

const EVERY_MS = 5000;
const NAMES = { kafka: "Kafka", redis: "Redis", triton: "Triton" };
const ROLES = { kafka: "carries chunks and results", redis: "holds what the pages show", triton: "runs the models" };
const shortcuts = [{ name: "reload", keys: ["r"], does: "look again now" }];

function Health() {
  const { data, problem, reload } = usePolled("/health", EVERY_MS);
  const now = useNow() + useStore(store, ({ skew }) => skew);
  useShortcuts(shortcuts, { reload });
  if (!data) return problem ? html`<${Failed} problem=${problem} what="health" />` : html`<${Loading} what="health" />`;
  return html`<div class="page health"><div class="page-head"><h1>Health</h1><span class=${`pill ${data.ok ? "live" : "warn"}`}>${data.ok ? "everything works" : "something is wrong"}</span>
      <div class="grow"></div><span class="quiet">looked at ${ago(data.at_ms, now)}</span></div>
    ${problem && html`<div class="banner stale" role="note"><${Icon} name="alerts" /><p>This is as it was: ${problem.message}</p></div>`}
    <div class="figures">${figures(data, now).map(({ value, name, more, loud, title }) => html`<div key=${name} title=${title} class=${`figure${loud ? " loud" : ""}`}><b>${value}</b><span>${name}</span>${more && html`<small>${more}</small>`}</div>`)}</div>
    ${data.decisions_wait && html`<${Notice} title="Decisions wait to be published" kind="away" icon="alerts"><p>${data.decisions_wait}. Nothing is lost: they are in Redis, and are published when Kafka is back.</p></${Notice}>`}
    <div class="health-parts"><section class="card"><h2>Services</h2><ul class="services">${data.services.map((service) => html`<${Service} key=${service.name} service=${service} now=${now} />`)}</ul></section>
      <section class="card"><h2>Workers</h2><${Workers} workers=${data.workers} now=${now} /></section></div>
  </div>`;
}

function figures({ sessions, newest_result_at_ms: newest, queue, word_truth: truth, viewers }, now) {
  return [
    { value: sessions.live ?? 0, name: "sessions live", more: sessions.quiet > 0 && `${sessions.quiet} gone quiet` },
    { value: newest ? span(now - newest) : "–", name: "age of the data", loud: sessions.live > 0 && newest && now - newest > 20_000 },
    { value: queue ? queue.raised_last_hour : "–", name: `${queue?.raised_last_hour === 1 ? "alert" : "alerts"} in the last hour`, more: queue && `${queue.open} open` },
    { value: truth?.rate === null || !truth ? "–" : percent(truth.rate), name: "word truth", more: truth ? `${count(truth.windows, "window")} checked` : "", title: "Share of checked windows in which the phrase that is named first really has the largest effect" },
    { value: viewers, name: viewers === 1 ? "viewer" : "viewers" },
  ];
}

function Service({ service: { name, ok, problem, since_ms: since, lasting }, now }) {
  return html`<li class=${ok ? "ok" : "bad"}><span class=${`pill ${ok ? "live" : "warn"}`}>${ok ? "works" : "away"}</span>
    <div><b>${NAMES[name] ?? name}</b> <span class="quiet">${ROLES[name]}</span>
      ${!ok && html`<p>${problem}</p><p class="small">${since ? `since ${span(now - since)}` : ""}${lasting ? " · waiting does not help" : ""}</p>`}</div></li>`;
}

function Workers({ workers }) {
  if (workers === null) return html`<p class="quiet">Redis does not answer, so it is not known how the workers are.</p>`;
  if (!workers.length) return html`<p class="quiet">No worker runs. Start one:</p><pre class="command" tabindex="0"><code>sentistream worker</code></pre>`;
  return html`<ul class="services">${workers.map((worker) => html`<li key=${worker.worker} class=${worker.ok ? "ok" : "bad"}><span class=${`pill ${worker.ok && !worker.overload ? "live" : "warn"}`}>${!worker.ok ? "waits" : worker.overload ? "behind" : "works"}</span>
    <div><b class="mono">${worker.worker}</b> <span class="quiet">${worker.partitions === null ? "no partitions yet" : count(worker.partitions, "partition")} · ${count(worker.windows, "window")} scored · last heard ${span(worker.silent_ms)} ago</span>
      ${Object.entries(worker.reasons).map(([part, reason]) => html`<p key=${part}>${part}: ${reason}</p>`)}
      ${worker.overload && html`<p>${worker.overload}</p>`}
      ${worker.silent_ms > 20_000 && html`<p>It is silent: it may be stuck, cut off from Redis, or gone.</p>`}</div></li>`)}</ul>`;
}

export default { title: "Health", path: "/health", component: Health, shortcuts, permission: "operate", nav: { label: "Health", icon: "health" } };
