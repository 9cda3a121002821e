// A value that components follow.
import { useEffect, useRef, useState } from "./html.js";

/** {get, set(changes), subscribe(listener)}; `set` merges. */
export function createStore(initial) {
  let value = initial;
  const listeners = new Set();
  return {
    get: () => value,
    set(changes) {
      value = { ...value, ...changes };
      for (const listener of [...listeners]) listener(value);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** What `select` finds in the store; the component is drawn again only when that is another value. */
export function useStore(store, select = (value) => value) {
  const [, redraw] = useState(0);
  const latest = useRef(null);
  latest.current = { select, selected: select(store.get()) };
  useEffect(() => {
    const check = (value) => {
      if (!Object.is(latest.current.select(value), latest.current.selected)) redraw((count) => count + 1);
    };
    check(store.get());
    return store.subscribe(check);
  }, [store]);
  return latest.current.selected;
}
