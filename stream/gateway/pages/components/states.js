// What a page shows when it has nothing to show, and why.
import { html, Component, useEffect, useState } from "../html.js";
import { Icon } from "./icons.js";

const SLOW_MS = 8000;

/** A calm notice in the place of content: {title, children, kind, icon}. */
export function Notice({ title, children, icon = "help", kind = "", heading = "h2" }) {
  return html`<section class=${`notice ${kind}`}><${Icon} name=${icon} />
    <div><${heading}>${title}</${heading}>${children}</div></section>`;
}

/** Waiting, with an end: after a while it says what may be wrong. */
export function Loading({ what }) {
  const [slow, setSlow] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setSlow(true), SLOW_MS);
    return () => clearTimeout(timer);
  }, []);
  return slow
    ? html`<${Notice} title=${`Still waiting for ${what}`} kind="away"><p>The gateway takes longer than usual. It may wait for Redis: see <a href="/health">Health</a>. The page shows ${what} as soon as it comes.</p></${Notice}>`
    : html`<div class="loading" aria-busy="true"><span class="unseen">Loading ${what}</span><i></i><i></i><i></i></div>`;
}

/** Nothing here yet: `command` is what changes it. */
export function Empty({ title, command, children, icon = "board" }) {
  return html`<${Notice} title=${title} icon=${icon} kind="empty">${children}${command && html`<pre class="command"><code>${command}</code></pre>`}</${Notice}>`;
}

export function Away({ text, title = "The gateway does not answer" }) {
  return html`<div class="page"><${Notice} title=${title} kind="away" icon="alerts" heading="h1"><p>${text}</p>
    <p>What is on the page stays as it was. Nothing is lost: the page reads what it missed when the connection is back.</p></${Notice}></div>`;
}

/** Over data that is older than it should be. */
export function Stale({ children }) {
  return html`<div class="banner stale" role="note"><${Icon} name="alerts" /><p>${children}</p></div>`;
}

export function NotAllowed({ permission }) {
  return html`<div class="page"><${Notice} title="You may not see this page" kind="denied" icon="alerts" heading="h1">
    <p>It needs the permission <b>${permission}</b>, which your role does not have. Whoever runs the gateway gives roles, in <code>gateway.tokens</code>.</p>
    <p><a href="/">To the board</a></p></${Notice}></div>`;
}

export function NotFound({ what = "page" }) {
  return html`<div class="page"><${Notice} title=${`There is no such ${what}`} kind="empty" heading="h1">
    <p>${what === "page" ? "Perhaps the address was not copied whole." : "It may have been erased, may never have existed, or belongs to a tenant that is not yours."}</p><p><a href="/">To the board</a></p></${Notice}></div>`;
}

/** The right state for a problem of the API. */
export function Failed({ problem, what }) {
  if (problem.status === 404) return html`<${NotFound} what=${what} />`;
  if (problem.status === 403) return html`<${NotAllowed} permission=${problem.body?.permission ?? what} />`;
  return html`<${Away} title=${problem.title || "Something is away"} text=${problem.message} />`;
}

/** Draws a page; if its code fails, says so instead of an empty page. */
export class Broken extends Component {
  componentDidCatch(error) {
    console.error(error);
    this.setState({ error });
  }

  render({ children }, { error }) {
    if (!error) return children;
    return html`<div class="page"><${Notice} title="This page has a fault" kind="away" icon="alerts" heading="h1">
      <p>It could not be drawn. <a href=${window.location.href} target="_self">Load it again</a>; if that does not help, please report what the browser's console says.</p></${Notice}></div>`;
  }
}
