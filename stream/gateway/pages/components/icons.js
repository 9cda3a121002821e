// Line icons, 24 by 24, drawn with the colour of the text.
import { html } from "../html.js";

const PATHS = {
  board: "M4 5h16M4 12h16M4 19h10",
  wall: "M3 5h18v11H3zM9 20h6M12 16v4",
  alerts: "M12 3l9 16H3zM12 10v4M12 16.5v.5",
  health: "M3 12h4l2-6 4 12 2.5-6H21",
  reveal: "M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12zM12 9.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5z",
  sun: "M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM12 2v2.5M12 19.5V22M2 12h2.5M19.5 12H22M4.9 4.9l1.8 1.8M17.3 17.3l1.8 1.8M4.9 19.1l1.8-1.8M17.3 6.7l1.8-1.8",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z",
  help: "M9 9a3 3 0 1 1 4.2 2.8c-.8.4-1.2 1-1.2 2.2M12 17.2v.3M12 2.5a9.5 9.5 0 1 1 0 19 9.5 9.5 0 0 1 0-19z",
  leave: "M14 4h5v16h-5M3 12h11M10 8l4 4-4 4",
  search: "M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM15.5 15.5L21 21",
  text: "M4 5h16v11H9l-5 4z",
  audio: "M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3zM5 11a7 7 0 0 0 14 0M12 18v3",
  video: "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18zM9 10v.5M15 10v.5M8.5 14.5c2 2 5 2 7 0",
  flag: "M6 21V4h11l-2 4 2 4H6",
  close: "M5 5l14 14M19 5L5 19",
  back: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  download: "M12 4v11M7 11l5 5 5-5M4 20h16",
  upload: "M12 16V5M7 9l5-5 5 5M4 20h16",
};

export function Icon({ name, label }) {
  return html`<svg class="line-icon" viewBox="0 0 24 24" aria-hidden=${label ? undefined : "true"} role=${label ? "img" : undefined} aria-label=${label}>
    <path d=${PATHS[name]} /></svg>`;
}
