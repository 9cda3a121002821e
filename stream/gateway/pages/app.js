// The shell: navigation, the present page, keyboard, and what is said to screen readers.
import { html, render, useEffect, useRef, useState } from "./html.js";
import { EVERYWHERE, useShortcuts } from "./keys.js";
import { followLinks, findPage, navigate, useAddress } from "./router.js";
import { pause, start, store } from "./store.js";
import { useStore } from "./stores.js";
import { switchTheme } from "./preferences.js";
import { Announcer } from "./components/announcer.js";
import { Header } from "./components/header.js";
import { Help } from "./components/help.js";
import { NotAllowed, NotFound, Loading, Away, Broken } from "./components/states.js";
import { pages } from "./pages/index.js";
import login from "./pages/login.js";

function App() {
  const address = useAddress();
  const [help, setHelp] = useState(false);
  const me = useStore(store, (state) => state.me);
  const signedOut = useStore(store, (state) => state.signedOut);
  const problem = useStore(store, (state) => state.problem);
  const found = findPage(pages, address.path);
  const page = signedOut ? login : found?.page;
  const title = (!signedOut && page?.titleOf?.(found.params)) || (page?.title ?? "Page not found");
  useShortcuts(EVERYWHERE, {
    help: () => setHelp((shown) => !shown),
    board: () => navigate("/"),
    alerts: () => navigate("/alerts"),
    health: () => navigate("/health"),
    reveal: () => navigate("/reveal"),
    theme: switchTheme,
    pause: () => pause(),
  });
  useNewPage(address.path, title);
  return html`<div class=${page?.bare ? "app bare" : "app"} onClick=${followLinks}>
    <a class="skip" href="#main">Skip to the content</a>
    ${page?.bare && !signedOut ? null : html`<${Header} path=${address.path} pages=${pages} onHelp=${() => setHelp(true)} />`}
    <main id="main" tabindex="-1">${body({ me, signedOut, problem, found, address })}</main>
    ${help && html`<${Help} page=${page} onClose=${() => setHelp(false)} />`}
    <${Announcer} />
  </div>`;
}

function body({ me, signedOut, problem, found, address }) {
  if (signedOut) return html`<${login.component} next=${address.url} />`;
  if (!me) return problem ? html`<${Away} text=${problem} />` : html`<${Loading} what="the page" />`;
  if (!found) return html`<${NotFound} />`;
  const { page, params } = found;
  if (page.permission && !me.permissions.includes(page.permission)) return html`<${NotAllowed} permission=${page.permission} />`;
  return html`<${Broken} key=${address.path}><${page.component} params=${params} query=${address.query} me=${me} /></${Broken}>`;
}

/** A new page: its title, and the focus at its heading, as after loading a document. */
function useNewPage(path, title) {
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    window.scrollTo(0, 0);
    const main = document.getElementById("main");
    main.focus({ preventScroll: true });
    return whenThere(main, "h1", (heading) => {
      if (document.activeElement !== main) return;  // the viewer has gone on meanwhile
      heading.setAttribute("tabindex", "-1");
      heading.focus({ preventScroll: true });
    });
  }, [path]);
  useEffect(() => {
    const alerts = document.title.match(/^\(\d+\) /)?.[0] ?? "";  // see components/open_alerts.js
    document.title = `${alerts}${title} · sentistream`;
  }, [title]);
}

/** Does something with an element as soon as it is on the page; returns the function that stops waiting. */
function whenThere(parent, selector, action) {
  const observer = new MutationObserver(look);
  function look() {
    const found = parent.querySelector(selector);
    if (!found) return;
    observer.disconnect();
    action(found);
  }
  observer.observe(parent, { childList: true, subtree: true });
  look();
  return () => observer.disconnect();
}

const root = document.getElementById("app");
root.replaceChildren();
render(html`<${App} />`, root);
start();
