// The final windows of one session: read once, then kept up by the stream.
import { apiPath, get } from "./api.js";
import { useEffect, useRef, useState } from "./html.js";
import { hasBegun, onBatch } from "./store.js";

const PAGE = 500;
const MOST_PAGES = 8;

/**
 * {windows, loading, problem, more}: windows is an array of {score, explanation}, oldest first, of all tracks and epochs. `more` reads
 * older ones, or is null when all are there.
 */
export function useHistory(tenant, session) {
  const [state, setState] = useState({ windows: [], loading: true, problem: null, cursor: null });
  const known = useRef(new Map());
  useEffect(() => {
    let ended = false;
    let timer = null;
    known.current = new Map();
    setState({ windows: [], loading: true, problem: null, cursor: null });
    const load = async () => {
      try {
        const cursor = await readPages(known.current, tenant, session, null, MOST_PAGES);
        if (!ended) setState({ windows: inOrder(known.current), loading: false, problem: null, cursor });
      } catch (problem) {
        if (ended || problem.status === 401) return;
        if (problem.status === 404) known.current = new Map();  // it was erased: nothing of it stays on the page
        setState((now) => ({ ...now, windows: inOrder(known.current), loading: false, problem }));
        if (![403, 404].includes(problem.status)) timer = setTimeout(load, 3000);
      }
    };
    if (hasBegun(`${tenant}/${session}`)) load();
    const end = onBatch((batch) => {
      if (batch.gap) load();
      else if (add(known.current, batch, tenant, session)) setState((now) => ({ ...now, windows: inOrder(known.current) }));
    });
    return () => {
      ended = true;
      clearTimeout(timer);
      end();
    };
  }, [tenant, session]);
  const more = state.cursor && (async () => {
    const cursor = await readPages(known.current, tenant, session, state.cursor, 1);
    setState((now) => ({ ...now, windows: inOrder(known.current), cursor }));
  });
  return { ...state, more };
}

/** Reads pages of the history into `known`; returns the cursor of the next one, or null. */
async function readPages(known, tenant, session, from, most) {
  let cursor = from;
  for (let pages = 0; pages < most; pages += 1) {
    const page = await get(apiPath("sessions", tenant, session, "windows"), { limit: PAGE, cursor });
    for (const item of page.items) known.set(item.score.window_id, item);
    cursor = page.next ?? null;
    if (!cursor) break;
  }
  return cursor;
}

/** Takes in what a batch has of this session; whether that is anything. A window may come again after a resume: it stays one window. */
function add(known, { scores = [], explanations = [] }, tenant, session) {
  const mine = (record) => record.tenant === tenant && record.session === session;
  let changed = false;
  for (const score of scores.filter(mine)) {
    known.set(score.window_id, { explanation: null, ...known.get(score.window_id), score });
    changed = true;
  }
  for (const explanation of explanations.filter(mine)) {
    const window = known.get(explanation.window_id);
    if (!window) continue;
    known.set(explanation.window_id, { ...window, explanation });
    changed = true;
  }
  return changed;
}

function inOrder(known) {
  return [...known.values()].sort(({ score: a }, { score: b }) => a.epoch - b.epoch || a.end_ms - b.end_ms || (a.track < b.track ? -1 : 1));
}
