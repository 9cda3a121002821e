// The time, once a second, for everything that shows an age.
import { useEffect, useState } from "../html.js";

const listeners = new Set();
let timer = null;

function tick() {
  const now = Date.now();
  for (const listener of [...listeners]) listener(now);
}

/** Unix ms by the viewer's clock, at most a second old. */
export function useNow() {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    listeners.add(setNow);
    timer ??= setInterval(tick, 1000);
    return () => {
      listeners.delete(setNow);
      if (!listeners.size) {
        clearInterval(timer);
        timer = null;
      }
    };
  }, []);
  return now;
}
