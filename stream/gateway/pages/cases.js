// The moderation queue: which cases there are, and what can be done about one.
import { apiPath, get, post } from "./api.js";
import { useCallback, useEffect, useRef, useState } from "./html.js";
import { onBatch } from "./store.js";

const EVERY_MS = 5000;
const SOON_MS = 600;
const MOST = 100;

export const STATES = [["open", "Open"], ["claimed", "Claimed"], ["snoozed", "Snoozed"], ["decided", "Decided"]];

/** The path of a step on a case. */
export const casePath = (alertId, step = "") => apiPath("alerts", ...alertId.split("/")) + step;

/** {cases, more, counts, problem, loaded, reload}: the cases of one state, kept up to date. */
export function useQueue(state) {
  const [queue, setQueue] = useState({ cases: [], more: false, counts: null, problem: null, loaded: false, state });
  const read = useRef(null);
  useEffect(() => {
    let ended = false;
    let soon = null;
    read.current = async () => {
      soon = null;
      try {
        const [page, counts] = await Promise.all([get("/alerts", { state, limit: MOST }), get("/queue")]);
        if (!ended) setQueue({ cases: page.items, more: Boolean(page.next), counts, problem: null, loaded: true, state });
      } catch (problem) {
        if (!ended) setQueue((now) => ({ ...now, problem, loaded: now.loaded && now.state === state }));
      }
    };
    read.current();
    const timer = setInterval(() => read.current(), EVERY_MS);
    const end = onBatch(({ alerts = [], gap }) => {
      if (alerts.length || gap) soon ??= setTimeout(() => read.current(), SOON_MS);
    });
    return () => {
      ended = true;
      clearInterval(timer);
      clearTimeout(soon);
      end();
    };
  }, [state]);
  const reload = useCallback(() => read.current?.(), []);
  return { ...queue, reload };
}

const CLAIM_AFTER_MS = 700;
const RENEW_MS = 120_000;
const UNPUBLISHED_MS = 2000;

/**
 * {item, problem, refused, act(step, body)}: one case, claimed while it is open on the page. Whoever only passes by does not claim it;
 * leaving it gives it back.
 */
export function useCase(alertId, { claims, onChange }) {
  const [state, setState] = useState({ item: null, problem: null, refused: null });
  const mine = useRef(false);
  const latest = useRef(onChange);
  latest.current = onChange;
  const act = useCallback(async (step, body) => {
    const item = await post(casePath(alertId, `/${step}`), body);
    mine.current = item.mine;
    setState((now) => ({ ...now, item: { ...item, ...shownWords(now.item, step) }, refused: null }));
    latest.current?.();
    return item;
  }, [alertId]);
  useEffect(() => {
    setState({ item: null, problem: null, refused: null });
    mine.current = false;
    if (!alertId) return undefined;
    let ended = false;
    const claim = async () => {
      try {
        const item = await post(casePath(alertId, "/claim"));
        mine.current = true;
        if (ended) release();
        else setState((now) => ({ ...now, item: { ...item, ...shownWords(now.item) }, refused: null }));
        latest.current?.();
      } catch (problem) {
        if (!ended) setState((now) => ({ ...now, refused: problem.status === 409 ? problem.message : now.refused }));
      }
    };
    const release = () => {
      if (mine.current) post(casePath(alertId, "/release")).then(() => latest.current?.(), () => {});
      mine.current = false;
    };
    get(casePath(alertId)).then((item) => {
      if (ended) return;
      setState({ item, problem: null, refused: null });
      mine.current = item.mine;
    }, (problem) => !ended && setState({ item: null, problem, refused: null }));
    const first = claims ? setTimeout(claim, CLAIM_AFTER_MS) : null;
    const again = claims ? setInterval(() => mine.current && claim(), RENEW_MS) : null;
    return () => {
      ended = true;
      clearTimeout(first);
      clearInterval(again);
      release();
    };
  }, [alertId, claims]);
  const waits = state.item?.state === "decided" && !state.item.published;
  useEffect(() => {
    if (!waits) return undefined;
    const timer = setInterval(() => get(casePath(alertId)).then((item) => setState((now) => ({ ...now, item: { ...item, ...shownWords(now.item) } })), () => {}), UNPUBLISHED_MS);
    return () => clearInterval(timer);
  }, [alertId, waits]);
  return { ...state, act };
}

/** A case comes without words; once they were shown they stay until another case is opened. */
function shownWords(before, step) {
  if (step === "words") return { shown: true };
  return before?.shown ? { alert: before.alert, shown: true } : {};
}
