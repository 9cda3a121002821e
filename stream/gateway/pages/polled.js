// An answer of the API that is read again and again.
import { get } from "./api.js";
import { useCallback, useEffect, useRef, useState } from "./html.js";

/** {data, problem, at, reload}: `problem` is of the last reading; `data` stays as it was. */
export function usePolled(path, everyMs) {
  const [state, setState] = useState({ data: null, problem: null, at: 0 });
  const read = useRef(null);
  useEffect(() => {
    let ended = false;
    let timer = null;
    read.current = async () => {
      clearTimeout(timer);
      try {
        const data = await get(path);
        if (!ended) setState({ data, problem: null, at: Date.now() });
      } catch (problem) {
        if (!ended) setState((now) => ({ ...now, problem }));
      }
      if (!ended) timer = setTimeout(() => read.current(), everyMs);
    };
    read.current();
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }, [path, everyMs]);
  const reload = useCallback(() => read.current?.(), []);
  return { ...state, reload };
}
