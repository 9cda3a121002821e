// What a viewer has chosen, kept in this browser: theme, shortcuts, blind mode.
import { createStore } from "./stores.js";

const KEY = "sentistream";

function stored() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};  // storage is off, or somebody else's
  }
}

export const preferences = createStore({ theme: "auto", shortcuts: true, blind: false, ...stored() });

preferences.subscribe(() => {
  apply();
  try {
    localStorage.setItem(KEY, JSON.stringify(preferences.get()));
  } catch {
    // storage is off: the choice holds until the tab is closed
  }
});

const system = matchMedia("(prefers-color-scheme: dark)");

export function isDark() {
  const { theme } = preferences.get();
  return theme === "auto" ? system.matches : theme === "dark";
}

function apply() {
  document.documentElement.dataset.theme = isDark() ? "dark" : "light";
}

apply();
system.addEventListener("change", () => preferences.set({}));

export function switchTheme() {
  preferences.set({ theme: isDark() ? "light" : "dark" });
}
