// The keyboard. A page lists its shortcuts as {name, keys, does}; its component says what each name does with `useShortcuts`.
import { useEffect, useRef } from "./html.js";
import { preferences } from "./preferences.js";

const SEQUENCE_MS = 1200;
const scopes = [];
let begun = { key: "", at: 0 };

/** Everywhere. `keys` are values of KeyboardEvent.key; two with a space between are pressed one after the other. */
export const EVERYWHERE = [
  { name: "help", keys: ["?"], does: "show or hide this list" },
  { name: "board", keys: ["g b"], does: "go to the board" },
  { name: "alerts", keys: ["g a"], does: "go to the alerts" },
  { name: "health", keys: ["g h"], does: "go to health" },
  { name: "reveal", keys: ["g r"], does: "go to reveal" },
  { name: "theme", keys: ["t"], does: "light or dark" },
  { name: "pause", keys: ["p"], does: "pause the page, or go on" },
];

const SHOWN = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc", " ": "Space" };

/** A key as people read it. */
export function shown(keys) {
  return keys.split(" ").map((key) => SHOWN[key] ?? key).join(" ");
}

/** Does `actions[name]()` when a key of that shortcut is pressed, as long as the component is on the page. */
export function useShortcuts(shortcuts, actions) {
  const latest = useRef(null);
  latest.current = { shortcuts, actions };
  useEffect(() => {
    scopes.unshift(latest);
    return () => scopes.splice(scopes.indexOf(latest), 1);
  }, []);
}

function isTyping(target) {
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) && target.type !== "checkbox" && target.type !== "radio";
}

window.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const isLetter = event.key.length === 1;
  if (isTyping(event.target) && event.key !== "Escape") return;
  if (isLetter && !preferences.get().shortcuts && event.key !== "?") return;
  const sequence = event.timeStamp - begun.at < SEQUENCE_MS ? `${begun.key} ${event.key}` : null;
  const action = (sequence && find(sequence, event)) || find(event.key, event);
  begun = { key: event.key, at: event.timeStamp };
  if (!action) return;
  begun = { key: "", at: 0 };
  if (action() !== false) event.preventDefault();
});

/** The innermost action for a key. A button or link keeps Enter and Space, which press it. */
function find(keys, event) {
  if (/^(Enter| )$/.test(keys) && event.target.closest("button, a, summary, [role=button]")) return null;
  for (const { current } of scopes) {
    const shortcut = current.shortcuts.find((each) => each.keys.includes(keys));
    const action = shortcut && current.actions[shortcut.name];
    if (action) return action;
  }
  return null;
}
