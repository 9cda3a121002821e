// One stream of server-sent events over fetch: unlike EventSource it sees comments (so silence is noticed), sends the last id after any
// error, and learns why the gateway refused.
import { problemOf } from "./api.js";

const SILENCE_MS = 25_000;
const PAUSES_MS = [500, 1000, 2000, 4000, 8000];

/** Follows `url` until `close`. `on` has: event(name, data), open(), lost(problem | null), refused(problem). */
export class EventStream {
  constructor(url, on) {
    this.url = url;
    this.on = on;
    this.lastId = null;
    this.attempts = 0;
    this.closed = false;
    this.connect();
  }

  close() {
    this.closed = true;
    this.abort?.abort();
    clearTimeout(this.timer);
    clearTimeout(this.watchdog);
  }

  /** Gives the connection back, until `wake`. */
  sleep() {
    this.asleep = true;
    this.abort?.abort();
    clearTimeout(this.timer);
  }

  /** Goes on where it stopped, and at once if it waits for the next try. */
  wake() {
    if (!this.asleep && !this.timer) return;
    this.asleep = false;
    clearTimeout(this.timer);
    this.connect();
  }

  async connect() {
    this.timer = null;
    this.abort = new AbortController();
    let problem = null;
    try {
      this.listen();
      const headers = { Accept: "text/event-stream", ...(this.lastId ? { "Last-Event-ID": this.lastId } : {}) };
      const answer = await fetch(this.url, { headers, credentials: "same-origin", cache: "no-store", signal: this.abort.signal });
      if (!answer.ok) throw await problemOf(answer);
      this.on.open();
      await this.read(answer.body.getReader());
    } catch (error) {
      problem = error.status ? error : null;
    }
    clearTimeout(this.watchdog);
    if (this.closed || this.asleep) return;
    if (problem && [401, 403, 404].includes(problem.status)) {
      this.on.refused(problem);
      return;
    }
    this.on.lost(problem);
    const pause = PAUSES_MS[Math.min(this.attempts, PAUSES_MS.length - 1)];
    this.attempts += 1;
    this.timer = setTimeout(() => this.connect(), pause * (0.75 + Math.random() / 2));
  }

  /** A gateway that says nothing, not even a comment, is away, whatever the connection says. */
  listen() {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => this.abort.abort(), SILENCE_MS);
  }

  async read(reader) {
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done || this.closed) return;
      this.attempts = 0;
      this.listen();
      const blocks = (rest + decoder.decode(value, { stream: true }).replaceAll("\r", "")).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) this.dispatch(block);
    }
  }

  dispatch(block) {
    let name = "message";
    const data = [];
    let id = null;
    for (const line of block.split("\n")) {
      const colon = line.indexOf(":");
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "event") name = value;
      else if (field === "data") data.push(value);
      else if (field === "id") id = value;
    }
    if (data.length) this.on.event(name, JSON.parse(data.join("\n")));
    if (id !== null) this.lastId = id;  // after the event was taken in: a resume repeats rather than leaves out
  }
}
