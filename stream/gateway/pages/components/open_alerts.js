// How many alerts are open: for the menu and the title of the tab.
import { useEffect, useState } from "../html.js";
import { get } from "../api.js";
import { may, onBatch } from "../store.js";

const EVERY_MS = 20_000;
const SOON_MS = 700;

/** The number of open alerts; 0 for viewers who may not see them. */
export function useOpenAlerts(me) {
  const [open, setOpen] = useState(0);
  useEffect(() => {
    if (!may(me, "alerts")) return undefined;
    let soon = null;
    const read = () => {
      soon = null;
      get("/queue").then((counts) => setOpen(counts.open), () => {});
    };
    read();
    const timer = setInterval(read, EVERY_MS);
    const end = onBatch(({ alerts = [], gap }) => {
      if (alerts.length || gap) soon ??= setTimeout(read, SOON_MS);
    });
    return () => {
      clearInterval(timer);
      clearTimeout(soon);
      end();
    };
  }, [me]);
  useEffect(() => {
    document.title = document.title.replace(/^(\(\d+\) )?/, open ? `(${open}) ` : "");
  }, [open]);
  return open;
}
