// Numbers, times and names as people read them.

const MINUS = "\u2212";

/** A score or a difference with its sign and one decimal: "+1.5", "−0.4", "0.0". */
export function signed(value, digits = 1) {
  if (value === null || value === undefined) return "–";
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return (value < 0 ? MINUS : "+") + text;
}

export const percent = (share) => (share === null || share === undefined ? "–" : `${Math.round(share * 100)} %`);

/** How sure, in a word: figures are for experts. A result that a person should check is never more than low. */
export function sureness({ confidence, warnings = [] }) {
  if (confidence === null || confidence === undefined) return null;
  if (warnings.includes("to_review")) return "low";
  return confidence >= 0.75 ? "high" : "medium";
}

/** Media time: "2:05", "1:02:05". */
export function mediaTime(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = String(seconds % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** Media time to a tenth of a second: "2:05.3". */
export const preciseTime = (ms) => `${mediaTime(ms)}.${Math.floor((ms % 1000) / 100)}`;

/** "12 s", "3 min", "2 h", "4 d". */
export function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 100) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** "12 s ago", or "just now". */
export function ago(atMs, now) {
  if (!atMs) return "never";
  return now - atMs < 1500 ? "just now" : `${span(now - atMs)} ago`;
}

export const clock = (atMs) => new Date(atMs).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** "a supervisor", "an admin". */
export const withArticle = (role) => `${/^[aeiou]/i.test(role) ? "an" : "a"} ${role}`;

export const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

export const MODALITIES = ["text", "audio", "video"];
const MODALITY = { text: "words", audio: "voice", video: "face", earlier: "earlier windows" };
/** "words", "voice", "face". */
export const modalityName = (modality) => MODALITY[modality] ?? modality;

const WITHHELD = {
  policy: "not used, by policy",
  consent: "not used: no consent",
  language: "not used: the language is not one that the model knows",
  overload: "not used: more came than the service could take in",
};
/** Why a modality is not used, in words. */
export const withheldReason = (reason) => WITHHELD[reason] ?? `not used: ${reason}`;

const WARNINGS = {
  nothing_present: "Nobody spoke and no face was seen: this window has no score.",
  to_review: "The model is unsure of the label. A person should check it.",
  modalities_disagree: "Words, voice and face point in different directions.",
  single_modality: "The score rests on one source almost alone.",
  visual_over_reliance: "The face moves the score, and the words do not support it.",
  explainers_disagree: "Two ways to explain the words disagree. Read the words with care.",
  nuisance_sensitive: "The score moves with something that should not matter.",
  outside_training_domain: "The words seem not to be English. The model knows English only.",
  several_faces: "More than one face was in the picture. Only the largest is followed.",
  words_dropped: "More was said than the model can take in. The earliest words are left out.",
  sync_suspect: "Sound and picture may be out of step.",
  overload: "Sound or pictures are missing here, because more came than the service could take in.",
  shed: "This window closed early, because too much data was waiting.",
};
/** A warning code in a sentence. A code may be followed by what it is about: "nuisance_sensitive:hiss". */
export function warningText(code) {
  const [kind, about] = code.split(":");
  const text = WARNINGS[kind] ?? kind.replaceAll("_", " ");
  return about ? text.replace("something", about.replaceAll("_", " ")) : text;
}

/** {tenant, session, track, window} of a window's id, `tenant/session/track/EPOCH-END`. */
export function windowParts(windowId) {
  const [tenant, session, track, window] = windowId.split("/");
  return { tenant, session, track, window };
}

const path = (...parts) => `/${parts.map(encodeURIComponent).join("/")}`;
export const sessionUrl = (tenant, session) => path("sessions", tenant, session);
/** The session's page, with this window pinned: where its evidence is. */
export function evidenceUrl(windowId) {
  const { tenant, session, track, window } = windowParts(windowId);
  return `${sessionUrl(tenant, session)}?${new URLSearchParams({ at: `${track}/${window}` })}`;
}
/** The page of one window's explanation. */
export function windowUrl(windowId) {
  const { tenant, session, track, window } = windowParts(windowId);
  return path("windows", tenant, session, track, window);
}
export const alertUrl = (alertId) => `/alerts?${new URLSearchParams({ id: alertId })}`;

export const SEVERITIES = ["critical", "high", "medium", "low"];
/** 3 for critical down to 0 for low; -1 for none. */
export const severityRank = (severity) => (severity ? SEVERITIES.length - 1 - SEVERITIES.indexOf(severity) : -1);
