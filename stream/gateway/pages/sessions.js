// What the board and the wall say about sessions: order, filters, figures.
import { severityRank } from "./format.js";

/** The track that a row shows: of those with a score the lowest, and an agent only where nobody else speaks. */
export const leadTrack = (state) => known(state).lead;

// A state is replaced, never changed: what follows from it is worked out once, not at each comparison.
const facts = new WeakMap();

function known(state) {
  let found = facts.get(state);
  if (!found) {
    const lead = findLead(state);
    found = { lead, fall: fallOf(lead), severity: severityRank(state.alert?.severity) };
    facts.set(state, found);
  }
  return found;
}

function findLead(state) {
  const scored = state.tracks.filter((track) => track.score !== null);
  const others = scored.filter((track) => track.role !== "agent");
  const candidates = others.length ? others : scored;
  if (!candidates.length) return state.tracks[0] ?? null;
  return candidates.reduce((low, track) => (track.score < low.score ? track : low));
}

const STATES = { live: 0, quiet: 1, ended: 2 };

/** By alert (severity, then the oldest), then the deepest fall, then the newest result; live before quiet before ended. */
export function byUrgency(a, b) {
  const [ours, theirs] = [known(a), known(b)];
  return theirs.severity - ours.severity
    || (a.alert && b.alert ? a.alert.since_at_ms - b.alert.since_at_ms : 0)
    || STATES[a.state] - STATES[b.state]
    || ours.fall - theirs.fall
    || Math.round((b.last_result_at_ms - a.last_result_at_ms) / 10_000)
    || (a.session < b.session ? -1 : 1);
}

/** How much the lead track fell, in tenths of a point; 0 if it did not. */
function fallOf(lead) {
  const trend = lead?.trend;
  return trend ? Math.min(0, Math.round(trend * 10)) : 0;
}

export const SHOW = {
  all: { label: "All", keep: () => true },
  alerts: { label: "With alert", keep: (state) => state.alert !== null },
  live: { label: "Live", keep: (state) => state.state === "live" },
  quiet: { label: "Gone quiet", keep: (state) => state.state === "quiet" },
  ended: { label: "Ended", keep: (state) => state.state === "ended" },
};

/** Whether every word of the filter is in a name of the session. */
export function fits(state, words) {
  const names = [state.tenant, state.session, ...state.tracks.flatMap(({ track, role }) => [track, role]), state.alert?.title ?? ""];
  const text = names.join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

/** Figures of the board: {alerts, oldestAlert, live, quiet, ended, negative, scored}. */
export function figures(sessions) {
  const result = { alerts: 0, oldestAlert: null, live: 0, quiet: 0, ended: 0, negative: 0, scored: 0 };
  for (const state of sessions.values()) {
    result[state.state] += 1;
    if (state.alert) {
      result.alerts += 1;
      result.oldestAlert = Math.min(result.oldestAlert ?? Infinity, state.alert.since_at_ms);
    }
    if (state.state !== "live") continue;
    const lead = leadTrack(state);
    if (lead?.score === null || lead?.score === undefined) continue;
    result.scored += 1;
    if (lead.label === "negative") result.negative += 1;
  }
  return result;
}
