// What every page imports to draw: templates and hooks in one place.
export { html, render, Component } from "./vendor/htm-preact.js";
export { useCallback, useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from "./vendor/preact-hooks.js";
