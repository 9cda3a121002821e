// Something that can be taken back for ten seconds.
import { useEffect, useState } from "./html.js";

/** Seconds left until `untilMs` (the gateway's clock), told by `now`; 0 once it is over or null. */
export function useSecondsLeft(untilMs, now) {
  const [left, setLeft] = useState(0);
  useEffect(() => {
    if (!untilMs) {
      setLeft(0);
      return undefined;
    }
    const tick = () => setLeft(Math.max(0, Math.ceil((untilMs - now()) / 1000)));
    tick();
    const timer = setInterval(tick, 250);
    return () => clearInterval(timer);
  }, [untilMs]);
  return left;
}
