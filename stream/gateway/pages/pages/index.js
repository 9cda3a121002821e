// All pages, in the order of the menu. A page: {title, path, component} and, if it has them, shortcuts, permission, nav {label, icon, badge}, bare.
import board from "./board.js";
import explanation from "./explanation.js";
import session from "./session.js";
import wall from "./wall.js";

export const pages = [board, session, explanation, wall];
