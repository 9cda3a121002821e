// Addresses of the pages, by the history API. A page is {title, path, shortcuts, component}; `path` may have parts such as `:session`.
import { useEffect, useState } from "./html.js";

const listeners = new Set();

function changed() {
  for (const listener of [...listeners]) listener();
}

window.addEventListener("popstate", changed);

/** Goes to an address of ours. With `replace`, "back" does not return to the present one. */
export function navigate(url, { replace = false } = {}) {
  const next = new URL(url, window.location.href);
  if (next.href === window.location.href) return;
  history[replace ? "replaceState" : "pushState"](null, "", next);
  changed();
}

/** The present address: {path, query, url}; the component is drawn again when it changes. */
export function useAddress() {
  const [address, setAddress] = useState(read);
  useEffect(() => {
    const update = () => setAddress(read());
    listeners.add(update);
    update();
    return () => listeners.delete(update);
  }, []);
  return address;
}

function read() {
  const { pathname, search } = window.location;
  return { path: pathname, query: new URLSearchParams(search), url: pathname + search };
}

/** The present address with some fields of its query set, or removed where the value is null. */
export function withQuery(changes) {
  const { path, query } = read();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

/** {page, params} of the first page whose path fits, or null. */
export function findPage(pages, path) {
  for (const page of pages) {
    for (const pattern of [page.path].flat()) {
      const params = fit(pattern, path);
      if (params) return { page, params };
    }
  }
  return null;
}

function fit(pattern, path) {
  const wanted = pattern.split("/");
  const given = path.replace(/(.)\/$/, "$1").split("/");
  if (wanted.length !== given.length) return null;
  const params = {};
  for (const [index, part] of wanted.entries()) {
    if (part.startsWith(":")) {
      const value = decoded(given[index]);
      if (!value) return null;
      params[part.slice(1)] = value;
    } else if (part !== given[index]) return null;
  }
  return params;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";  // a stray percent sign: no page of ours
  }
}

/** Follows links between pages without loading the document again. Put it on the root element. */
export function followLinks(event) {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.target || link.hasAttribute("download") || link.origin !== window.location.origin) return;
  if (/^\/(api|assets)\//.test(link.pathname) || link.getAttribute("href").startsWith("#")) return;
  event.preventDefault();
  navigate(link.href);
}
