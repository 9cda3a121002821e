// What the page knows: who looks at it, the sessions, and how fresh all this is. One event stream a tab feeds it.
import { apiPath, get, getAll, post, whenSignedOut } from "./api.js";
import { EventStream } from "./events.js";
import { createStore } from "./stores.js";

const HIDDEN_MS = 30_000;
const STALE_MS = 20_000;
const POINTS = 60;
const MOST_HELD = 600;  // five minutes of batches; a longer pause reads everything again

/**
 * me: {name, tenants, permissions} | null; `signedOut` once the gateway has refused us.
 * link: "connecting" | "live" | "away"; `problem`: why it is away, in words.
 * storeAway: {since, reason} while Redis does not answer the gateway, else null.
 * sessions: Map of "tenant/session" to SessionState; `loaded` once the snapshot is there.
 * paused: nothing is drawn until the viewer goes on; `waiting` counts batches meanwhile.
 */
export const store = createStore({
  me: null, signedOut: false, link: "connecting", storeAway: null, since: Date.now(), problem: null, skew: 0,
  sessions: new Map(), loaded: false, failed: null, paused: false, waiting: 0, version: 0,
});

export const sessionKey = (state) => `${state.tenant}/${state.session}`;

/** Whether the viewer may do this; see the roles in docs/gateway.md. */
export const may = (me, permission) => Boolean(me?.permissions.includes(permission));

/** The gateway's clock, Unix ms: ages are told by it, not by the viewer's. */
export const serverNow = () => Date.now() + store.get().skew;

const batchListeners = new Set();
let stream = null;
let scope = null;
let held = [];
let overflowed = false;
let greeted = false;
let hiddenTimer = null;

/** Calls `listener(batch)` for each batch of events, in order, from now on; returns the function that ends it. */
export function onBatch(listener) {
  batchListeners.add(listener);
  return () => batchListeners.delete(listener);
}

/** Who we are; then the live data. Called once, and after signing in. */
export async function start() {
  try {
    const me = await get("/me");
    store.set({ me, signedOut: false, failed: null });
    follow(scope);
  } catch (problem) {
    if (problem.status !== 401) {
      store.set({ link: "away", problem: problem.message });
      setTimeout(start, 3000);
    }
  }
}

export async function signIn(token) {
  await post("/login", { token });
  await start();
}

export async function signOut() {
  await post("/logout").catch(() => {});
  close();
  store.set({ me: null, signedOut: true, sessions: new Map(), loaded: false });
}

whenSignedOut(() => {
  close();
  store.set({ me: null, signedOut: true });
});

/** Follows one session ("tenant/session"), or all of them (null). A tab has one stream: this one replaces the last. */
export function follow(session) {
  scope = session;
  if (!store.get().me) return;
  close();
  const query = session ? `?${new URLSearchParams({ session })}` : "";
  held = [];
  greeted = false;
  store.set({ loaded: false, failed: null, sessions: new Map() });
  stream = new EventStream(`/api/v1/stream${query}`, {
    open: () => store.set({ link: "live", problem: null, since: Date.now() }),
    lost(problem) {
      away(problem?.message ?? "The gateway does not answer. The page tries again by itself.");
      if (!greeted) readAgain();  // no stream, but perhaps the data of this moment
      greeted = true;
    },
    refused: (problem) => (problem.status === 401 ? store.set({ me: null, signedOut: true }) : store.set({ failed: problem })),
    event: take,
  });
}

/** What is followed now. */
export const followed = () => scope;

/** Whether the stream of `session` has begun: what is read from now on joins up with its batches. */
export const hasBegun = (session) => scope === session && greeted;

function close() {
  stream?.close();
  stream = null;
}

function away(problem) {
  if (store.get().link !== "away") store.set({ link: "away", problem, since: Date.now() });
}

/** Sessions as they are now. Batches that come meanwhile wait, so that nothing newer is overwritten. */
export async function loadSnapshot() {
  const mine = scope;
  store.set({ loaded: false });
  try {
    const states = mine ? [await get(apiPath("sessions", ...mine.split("/")))] : await getAll("/sessions", { limit: 500 });
    if (mine !== scope) return;
    const sessions = new Map(states.map((state) => [sessionKey(state), merged(state, null)]));
    store.set({ sessions, loaded: true, failed: null, version: store.get().version + 1 });
    const waiting = held;
    held = [];
    for (const batch of waiting) apply(batch);
  } catch (problem) {
    if (mine !== scope || problem.status === 401) return;
    store.set({ failed: problem });
    if (problem.status === 0 || problem.status >= 500 || problem.status === 429) setTimeout(() => mine === scope && loadSnapshot(), 3000);
  }
}

function take(name, data) {
  if (name === "hello") {
    store.set({ skew: data.server_time_ms - Date.now() });
    if (!data.resumed) readAgain();
    greeted = true;
  } else if (name === "gap") readAgain();
  else if (name === "stale") store.set({ storeAway: data.since_ms ? { since: data.since_ms, reason: data.reason } : null });
  else if (name === "batch") {
    if (store.get().failed?.status === 404) readAgain();  // a session that did not exist a moment ago has begun
    else if (store.get().paused || !store.get().loaded) hold(data);
    else apply(data);
  }
}

function hold(batch) {
  if (held.length < MOST_HELD) held.push(batch);
  else overflowed = true;
  if (store.get().paused) store.set({ waiting: held.length });
}

/**
 * What was before this moment is not known: sessions are read, and pages read their history. Never before the stream has begun, so that
 * nothing falls between the two.
 */
function readAgain() {
  held = [];
  overflowed = false;
  loadSnapshot();
  for (const listener of [...batchListeners]) listener({ gap: true });
}

function apply(batch) {
  const { sessions, version } = store.get();
  for (const state of batch.sessions ?? []) sessions.set(sessionKey(state), merged(state, sessions.get(sessionKey(state))));
  for (const listener of [...batchListeners]) listener(batch);
  store.set({ version: version + 1 });
}

const TRACK = {
  score: null, label: null, confidence: null, arousal: null, sentence: "", media_end_at_ms: null, speaking: false, is_final: true,
  modalities_present: [], modalities_expected: [], withheld: {}, warnings: [], history: [], session_mean: null, trend: null,
};

/** A session's state with its defaults, which the gateway leaves out, and with the points that were known before. */
function merged(state, before) {
  const sameEpoch = before && before.epoch === (state.epoch ?? 0);
  const tracks = (state.tracks ?? []).map((given) => {
    const known = (sameEpoch && before.tracks.find((track) => track.track === given.track)?.history) || [];
    const last = known.at(-1)?.[0] ?? -1;
    const history = [...known, ...(given.history ?? []).filter(([end]) => end > last)].slice(-POINTS);
    return { ...TRACK, ...given, history };
  });
  return { epoch: 0, alert: null, summary: null, ...state, tracks };
}

/** Stops drawing what comes, or draws what came meanwhile. */
export function pause(paused = !store.get().paused) {
  const waiting = held;
  store.set({ paused, waiting: 0 });
  if (paused) return;
  held = [];
  if (overflowed) readAgain();
  else for (const batch of waiting) apply(batch);
}

/** Unix ms of the newest result of any session, or null. */
export function newestResult(sessions) {
  let newest = null;
  for (const { last_result_at_ms: at } of sessions.values()) if (at && at > (newest ?? 0)) newest = at;
  return newest;
}

/** Whether live sessions have had no result for longer than they should. */
export function isStale(sessions, now) {
  const live = [...sessions.values()].some((state) => state.state === "live");
  const newest = newestResult(sessions);
  return live && newest !== null && now - newest > STALE_MS;
}

// A browser has six connections to a gateway for all its tabs: a tab that nobody looks at gives its own back, and later goes on where it
// stopped. The number of alerts in its title still follows, see components/open_alerts.js.
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiddenTimer);
  if (document.hidden) hiddenTimer = setTimeout(() => stream?.sleep(), HIDDEN_MS);
  else stream?.wake();
});
window.addEventListener("online", () => stream?.wake());
