// Try it in the browser: drop a recording on the board, and watch it being scored live.
import { html, useEffect, useRef, useState } from "../html.js";
import { apiPath, get, problemOf, remove } from "../api.js";
import { mediaTime, sessionUrl } from "../format.js";
import { may } from "../store.js";
import { announce } from "./announcer.js";
import { Icon } from "./icons.js";

const EVERY_MS = 1000;
const OVER = ["sent", "stopped", "failed"];

/** A zone for the board; nothing where recordings cannot be sent. */
export function Upload({ me }) {
  const [upload, setUpload] = useState(null);
  const [problem, setProblem] = useState(null);
  const [sending, setSending] = useState(false);
  const [over, setOver] = useState(false);
  const input = useRef(null);
  const allowed = me.uploads && may(me, "send");
  useEffect(() => {
    if (!upload || OVER.includes(upload.state)) return undefined;
    const timer = setTimeout(() => get(apiPath("uploads", upload.session)).then(setUpload, (error) => setProblem(error.message)), EVERY_MS);
    return () => clearTimeout(timer);
  }, [upload]);
  useEffect(() => {
    if (upload?.state === "failed") announce(`The recording cannot be used: ${upload.problem}`);
  }, [upload?.state]);
  if (!allowed) return null;
  const send = async (file) => {
    if (!file || sending) return;
    setProblem(null);
    setUpload(null);
    setSending(true);
    try {
      setUpload(await sendFile(file));
    } catch (error) {
      setProblem(error.message);
    } finally {
      setSending(false);
      if (input.current) input.current.value = "";
    }
  };
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    send(event.dataTransfer.files[0]);
  };
  const running = upload && !OVER.includes(upload.state);
  return html`<section class=${`card upload${over ? " over" : ""}`} aria-label="Try it with a recording" onDragOver=${(event) => {
    event.preventDefault();
    setOver(true);
  }} onDragLeave=${() => setOver(false)} onDrop=${drop}>
    <${Icon} name="upload" />
    <div class="grow">${sending ? html`<p>Receiving the recording</p>` : running ? html`<${Running} upload=${upload} />`
      : html`<p><b>Try it:</b> drop a recording here, or <button class="link" type="button" onClick=${() => input.current.click()}>choose a file</button>.</p>
        <p class="small">Video, sound or a transcript, at most 500 MB. It is sent at live pace, stays on this machine, and is removed afterwards.</p>`}
      ${upload?.state === "failed" && html`<p class="problem" role="alert">The recording cannot be used: ${upload.problem}</p>`}
      ${upload && OVER.includes(upload.state) && upload.state !== "failed" && html`<p>Sent ${mediaTime(upload.sent_ms)}. <a href=${sessionUrl(upload.tenant, upload.session)}>See its session</a></p>`}
      ${problem && html`<p class="problem" role="alert">${problem}</p>`}</div>
    ${running && html`${upload.state === "sending" && html`<a class="primary" href=${sessionUrl(upload.tenant, upload.session)}>Watch</a>`}<button class="secondary" type="button" onClick=${() => remove(apiPath("uploads", upload.session)).catch((error) => setProblem(error.message))}>Stop</button>`}
    <input ref=${input} type="file" hidden accept="video/*,audio/*,.vtt,.srt,.json" onChange=${(event) => send(event.target.files[0])} />
  </section>`;
}

/** The file itself goes out, not its name: only the name's ending. */
async function sendFile(file) {
  const ending = /\.([a-z0-9]{1,5})$/i.exec(file.name)?.[1] ?? "bin";
  const answer = await fetch(`/api/v1/uploads?${new URLSearchParams({ ending: ending.toLowerCase() })}`, {
    method: "POST", body: file, credentials: "same-origin", headers: { "Content-Type": "application/octet-stream", Accept: "application/json" },
  }).catch(() => {
    throw new Error("The recording did not arrive: the gateway does not answer, or refuses a file of this size.");
  });
  if (!answer.ok) throw await problemOf(answer);
  return answer.json();
}

function Running({ upload }) {
  const share = upload.duration_ms ? Math.min(1, upload.sent_ms / upload.duration_ms) : null;
  if (upload.state !== "sending") return html`<p>${upload.step ? `Reading the recording: ${upload.step}` : "Reading the recording"}</p>`;
  return html`<p>Sending at live pace: ${mediaTime(upload.sent_ms)}${upload.duration_ms ? ` of ${mediaTime(upload.duration_ms)}` : ""}</p>
    ${share !== null && html`<progress value=${share} max="1" aria-label="How much was sent"></progress>`}
    ${upload.notices.length > 0 && html`<p class="small">${upload.notices.join(" · ")}</p>`}`;
}

/** The viewer's own recording that becomes this session: {tenant, session, state, sent_ms …}, null if there is none; undefined until that is known. */
export function useUpload(session, me) {
  const mayBe = session.startsWith("upload-") && me.uploads && may(me, "send");
  const [upload, setUpload] = useState(mayBe ? undefined : null);
  useEffect(() => {
    if (!mayBe) {
      setUpload(null);
      return undefined;
    }
    let timer = null;
    const read = () => get(apiPath("uploads", session)).then((found) => {
      setUpload(found);
      if (!OVER.includes(found.state)) timer = setTimeout(read, EVERY_MS);
    }, () => setUpload((known) => known ?? null));
    read();
    return () => clearTimeout(timer);
  }, [session, mayBe]);
  return upload;
}

/** How far it is, on the page of its session. */
export function UploadProgress({ upload }) {
  if (!upload || upload.state === "sent") return null;
  const over = OVER.includes(upload.state);
  return html`<section class="card upload" aria-label="Your recording"><${Icon} name="upload" /><div class="grow">
    ${over ? html`<p>${upload.state === "failed" ? `The recording cannot be used: ${upload.problem}` : "You have stopped the recording."}</p>` : html`<${Running} upload=${upload} />`}</div>
    ${!over && html`<button class="secondary" type="button" onClick=${() => remove(apiPath("uploads", upload.session)).catch(() => {})}>Stop</button>`}</section>`;
}
