// Which sessions the tab's one stream follows: all, or the one on the page.
import { useEffect } from "./html.js";
import { follow, followed } from "./store.js";

/** Follows "tenant/session", or all sessions (null), as long as the component is on the page. */
export function useScope(session) {
  useEffect(() => {
    if (followed() !== session) follow(session);
  }, [session]);
}
