// One session: what was felt when, and why.
import { html, useEffect, useMemo, useState } from "../html.js";
import { apiPath, get } from "../api.js";
import { ago, evidenceUrl, mediaTime, signed, windowUrl } from "../format.js";
import { useHistory } from "../history.js";
import { useShortcuts } from "../keys.js";
import { navigate, withQuery } from "../router.js";
import { useScope } from "../scope.js";
import { hasBegun, may, onBatch, store } from "../store.js";
import { useStore } from "../stores.js";
import { announce } from "../components/announcer.js";
import { useNow } from "../components/now.js";
import { SessionHead } from "../components/session_head.js";
import { Summary } from "../components/summary.js";
import { SessionTimelines } from "../components/session_timelines.js";
import { Changes, Drivers, Moments, Words } from "../components/evidence.js";
import { Empty, Failed, Loading } from "../components/states.js";
import { UploadProgress, useUpload } from "../components/upload.js";
import { Verdict } from "../components/verdict.js";

const shortcuts = [
  { name: "before", keys: ["ArrowLeft"], does: "the window before" },
  { name: "after", keys: ["ArrowRight"], does: "the window after" },
  { name: "live", keys: ["Escape", "l"], does: "follow the newest window" },
  { name: "speaker", keys: ["s"], does: "the next speaker" },
  { name: "details", keys: ["e"], does: "all evidence of this window" },
];

/** "track/EPOCH-END", as in the address. */
const shortId = ({ score }) => score.window_id.split("/").slice(2).join("/");

/** The session; while a recording of the viewer's own is still being read, how far that is. */
function SessionOrUpload(page) {
  const { params: { tenant, session }, me } = page;
  const upload = useUpload(session, me);
  const [begun, setBegun] = useState(false);
  const waits = Boolean(upload) && !begun && upload.state !== "failed";
  useEffect(() => {
    if (!waits) return undefined;
    const timer = setInterval(() => get(apiPath("sessions", tenant, session)).then(() => setBegun(true), () => {}), 1000);
    return () => clearInterval(timer);
  }, [waits, tenant, session]);
  if (upload === undefined) return html`<${Loading} what="the session" />`;
  if (waits) return html`<div class="page session"><div class="page-head"><h1>${session}</h1></div><${UploadProgress} upload=${upload} /><p class="quiet">The first score comes a few seconds after the first words.</p></div>`;
  return html`<${Session} ...${page} upload=${upload} />`;
}

function Session({ params: { tenant, session }, query, me, upload }) {
  useScope(`${tenant}/${session}`);
  const state = useStore(store, ({ sessions }) => sessions.get(`${tenant}/${session}`));
  const failed = useStore(store, (value) => value.failed);
  const history = useHistory(tenant, session);
  const now = useNow() + useStore(store, ({ skew }) => skew);
  const flags = useFlags(tenant, session, me);
  const view = useMemo(() => viewOf(history.windows, state, query), [history.windows, state, query]);
  const pin = (window, replace = false) => navigate(withQuery({ at: window && shortId(window), track: null }), { replace });
  const step = (by) => {
    if (!view.selected) return;
    const index = view.ofTrack.indexOf(view.selected) + by;
    const next = view.ofTrack[index];
    if (!next) return;
    pin(next, Boolean(view.pinned));
    announce(`${mediaTime(next.score.end_ms)}. ${next.explanation?.sentence ?? signed(next.score.score)}`);
  };
  const chooseTrack = (track) => navigate(withQuery({ track, at: null }), { replace: true });
  useShortcuts(shortcuts, {
    before: () => step(-1),
    after: () => step(1),
    live: () => view.pinned ? pin(null) : false,
    speaker: () => chooseTrack(view.tracks[(view.tracks.indexOf(view.track) + 1) % view.tracks.length]),
    details: () => view.selected && navigate(windowUrl(view.selected.score.window_id)),
  });
  const problem = history.problem ?? failed;
  if (problem && !history.windows.length) return html`<${Failed} problem=${problem} what="session" />`;
  if (!history.windows.length && (history.loading || !state)) return html`<${Loading} what="the session" />`;
  return html`<div class="page session">
    <${UploadProgress} upload=${upload} />
    <${SessionHead} tenant=${tenant} session=${session} state=${state} now=${now} />
    ${view.lost && html`<div class="banner" role="note"><p>The window in the address, ${mediaTime(Number(view.lost.split("-").at(-1)))}, is not kept any more. <a href=${withQuery({ at: null })}>Show the newest</a></p></div>`}
    ${view.selected
      ? html`<${Summary} window=${view.selected} pinned=${Boolean(view.pinned)} state=${state} onStep=${step} onLive=${() => pin(null)} />
        <${SessionTimelines} view=${view} flags=${flags} state=${state} onPick=${pin} onTrack=${chooseTrack} more=${history.more} />
        <${Evidence} window=${view.selected} me=${me} />`
      : html`<${Empty} title="No window is final yet"><p>The first one closes a few seconds after the first words. Newest data: ${ago(state?.last_result_at_ms, now)}.</p></${Empty}>`}
  </div>`;
}

function Evidence({ window: { explanation, score }, me }) {
  if (!explanation) return html`<p class="quiet card">The explanation of this window is not kept any more.</p>`;
  return html`<div class="evidence">
    <div class="stack"><section class="card"><h2>What moved the score</h2><${Drivers} score=${score} explanation=${explanation} /></section>
      <section class="card"><h2>What changed</h2><${Changes} explanation=${explanation} /></section></div>
    <section class="card"><h2>Words</h2><${Words} explanation=${explanation} words=${may(me, "words")} /></section>
    <section class="card"><h2>Voice and face</h2><${Moments} explanation=${explanation} /></section>
  </div><${Verdict} window=${{ score, explanation }} me=${me} />`;
}

/** What the address asks for, of what there is: {tracks, track, epoch, all, ofTrack, pinned, selected, lost}. */
function viewOf(windows, state, query) {
  const at = query.get("at");
  const found = at ? windows.find((window) => shortId(window) === at) : null;
  const epoch = found?.score.epoch ?? windows.at(-1)?.score.epoch ?? 0;
  const all = windows.filter(({ score }) => score.epoch === epoch);
  const roles = new Map(all.map(({ score }) => [score.track, score.role]));
  const tracks = [...roles.keys()].sort((a, b) => (roles.get(a) === "agent") - (roles.get(b) === "agent") || (a < b ? -1 : 1));
  const wanted = found?.score.track ?? query.get("track");
  const track = tracks.includes(wanted) ? wanted : tracks[0];
  const ofTrack = all.filter(({ score }) => score.track === track);
  const lost = at && !found && windows.length ? at : null;
  return { tracks, track, epoch, all, ofTrack, pinned: found, selected: found ?? ofTrack.at(-1) ?? null, lost, span: query.get("span") ?? "auto" };
}

/** Alerts of the session as flags; none for viewers who may not see alerts. */
function useFlags(tenant, session, me) {
  const [alerts, setAlerts] = useState([]);
  useEffect(() => {
    setAlerts([]);
    if (!may(me, "alerts")) return undefined;
    const read = () => get(apiPath("sessions", tenant, session, "alerts")).then(({ items }) => setAlerts(items), () => {});
    if (hasBegun(`${tenant}/${session}`)) read();
    return onBatch((batch) => {
      if (batch.gap) read();
      const mine = (batch.alerts ?? []).filter((alert) => alert.tenant === tenant && alert.session === session);
      if (mine.length) setAlerts((known) => [...mine, ...known]);
    });
  }, [tenant, session, me]);
  return useMemo(() => flagsOf(alerts), [alerts]);
}

/** Where alerts were raised; each once, however often it came. */
function flagsOf(alerts) {
  const raised = new Map(alerts.filter(({ state }) => state === "raised").map((alert) => [alert.alert_id, alert]));
  return [...raised.values()].map((alert) => ({ ...alert, href: evidenceUrl(alert.window_id), title: `${alert.title}${alert.mode === "shadow" ? " (on trial)" : ""}` }));
}

export default { title: "Session", titleOf: ({ session }) => session, path: "/sessions/:tenant/:session", component: SessionOrUpload, shortcuts };
