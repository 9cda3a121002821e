// The one region that a screen reader reads out by itself: new alerts, and answers to what the viewer did.
import { html, useEffect } from "../html.js";
import { createStore, useStore } from "../stores.js";
import { onBatch } from "../store.js";

const messages = createStore({ text: "" });

/** Says something once, politely. */
export function announce(text) {
  messages.set({ text: messages.get().text === text ? `${text}\u00a0` : text });
}

export function Announcer() {
  const text = useStore(messages, (value) => value.text);
  useEffect(() => onBatch(({ alerts = [] }) => {
    const raised = alerts.filter((alert) => alert.state === "raised" && alert.mode !== "shadow");
    if (raised.length === 1) announce(`New alert: ${raised[0].title}, ${raised[0].severity}.`);
    else if (raised.length) announce(`${raised.length} new alerts. The first: ${raised[0].title}, ${raised[0].severity}.`);
  }), []);
  return html`<div class="unseen" role="status" aria-live="polite">${text}</div>`;
}
