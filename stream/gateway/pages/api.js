// The API: JSON in and out; errors are problem details (RFC 9457).

const ROOT = "/api/v1";

/** What went wrong, in words for people. `status` 0: the gateway did not answer. */
export class Problem extends Error {
  constructor(status, title, detail, body = null) {
    super(detail || title);
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.body = body;
  }
}

let onSignedOut = () => {};

/** Called when the gateway no longer knows who we are. */
export function whenSignedOut(action) {
  onSignedOut = action;
}

/** The path of an object: each part is encoded. */
export function apiPath(...parts) {
  return `${ROOT}/${parts.map(encodeURIComponent).join("/")}`;
}

export function get(path, query = null, options = {}) {
  const entries = Object.entries(query ?? {}).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(entries).toString();
  return request("GET", text ? `${path}?${text}` : path, options);
}

export function post(path, body = {}) {
  return request("POST", path, { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
}

export function remove(path) {
  return request("DELETE", path, {});
}

async function request(method, path, { body, headers = {}, signal } = {}) {
  const url = path.startsWith("/api/") ? path : ROOT + path;
  let answer;
  try {
    answer = await fetch(url, { method, body, signal, credentials: "same-origin", headers: { Accept: "application/json", ...headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The gateway does not answer", "The page tries again by itself. Is `sentistream gateway` running?");
  }
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  if (answer.status === 401) onSignedOut();
  throw await problemOf(answer);
}

/** The problem details of an answer, also where it has none. */
export async function problemOf(answer) {
  const body = await answer.json().catch(() => ({}));
  const wait = answer.headers.get("Retry-After");
  const detail = body.detail ?? (answer.status === 429 && wait ? `Too many requests. Try again in ${wait} s.` : `The gateway answered ${answer.status}.`);
  return new Problem(answer.status, body.title ?? answer.statusText, detail, body);
}

/** All pages of a list, up to `most` items. */
export async function getAll(path, query = {}, most = 5000) {
  const items = [];
  let cursor = null;
  do {
    const page = await get(path, { ...query, cursor });
    items.push(...page.items);
    cursor = page.next ?? null;
  } while (cursor && items.length < most);
  return items;
}
