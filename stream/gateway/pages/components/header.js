// The bar at the top: where you are, how fresh the page is, theme, help, sign out.
import { html } from "../html.js";
import { span } from "../format.js";
import { isDark, preferences, switchTheme } from "../preferences.js";
import { isStale, newestResult, pause, serverNow, signOut, store } from "../store.js";
import { useStore } from "../stores.js";
import { Icon } from "./icons.js";
import { useNow } from "./now.js";
import { useOpenAlerts } from "./open_alerts.js";

export function Header({ path, pages, onHelp }) {
  const me = useStore(store, (state) => state.me);
  useStore(preferences, (value) => value.theme);
  const alerts = useOpenAlerts(me);
  const items = pages.filter((page) => page.nav && (!page.permission || me?.permissions.includes(page.permission)));
  const dark = isDark();
  return html`<header class="top">
    <a class="brand" href="/" aria-label="sentistream, to the board"><img src="/assets/icon.svg" alt="" width="26" height="26" /><span>sentistream</span></a>
    ${me && html`<nav class="menu" aria-label="Pages">${items.map((page) => {
      const to = [page.path].flat()[0];
      return html`<a key=${to} href=${to} aria-current=${path === to ? "page" : undefined}>
        <${Icon} name=${page.nav.icon} /><span>${page.nav.label}</span>
        ${page.nav.badge === "alerts" && alerts > 0 && html`<span class="count" aria-label=${`${alerts} open`} title="Cases that wait for a decision">${alerts > 99 ? "99+" : alerts}</span>`}
      </a>`;
    })}</nav>`}
    <div class="tools">
      ${me && html`<${Freshness} />`}
      <button class="icon" type="button" onClick=${switchTheme} aria-label=${dark ? "Light colours" : "Dark colours"} title=${dark ? "Light colours (t)" : "Dark colours (t)"}>
        <${Icon} name=${dark ? "sun" : "moon"} /></button>
      <button class="icon" type="button" onClick=${onHelp} aria-label="Help and shortcuts" title="Help and shortcuts (?)"><${Icon} name="help" /></button>
      ${me && !me.open && html`<button class="icon" type="button" onClick=${signOut} aria-label=${`Sign out ${me.name}`} title=${`Sign out (${me.name})`}><${Icon} name="leave" /></button>`}
    </div>
  </header>`;
}

/** Whether the page is live; pressing it pauses the page. */
function Freshness() {
  const state = useStore(store);
  const now = useNow();
  const { paused } = state;
  const { kind, text } = freshness(state, now);
  return html`<button class=${`fresh ${kind}`} type="button" onClick=${() => pause()} aria-pressed=${paused}
    title=${paused ? "Go on (p)" : "Pause the page (p)"}><span class="dot" aria-hidden="true"></span>${text}</button>`;
}

function freshness({ link, since, storeAway, paused, waiting, sessions, skew, loaded }, now) {
  if (link === "away") return { kind: "away", text: `away for ${span(now - since)}` };
  if (storeAway) return { kind: "away", text: `Redis away for ${span(now + skew - storeAway.since)}` };
  if (link === "connecting" || !loaded) return { kind: "waiting", text: "connecting" };
  if (paused) return { kind: "paused", text: waiting ? `paused, ${waiting} waiting` : "paused" };
  if (isStale(sessions, now + skew)) return { kind: "stale", text: `stale, ${span(serverNow() - newestResult(sessions))} old` };
  return { kind: "live", text: "live" };
}
