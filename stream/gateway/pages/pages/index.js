// All pages, in the order of the menu. A page: {title, path, component} and, if it has them, titleOf(params), shortcuts, permission, nav {label, icon, badge}, bare.
import alerts from "./alerts.js";
import board from "./board.js";
import explanation from "./explanation.js";
import health from "./health.js";
import reveal from "./reveal.js";
import session from "./session.js";
import wall from "./wall.js";

export const pages = [board, alerts, health, reveal, session, explanation, wall];
