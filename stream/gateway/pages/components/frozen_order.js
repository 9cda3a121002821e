// An order that holds still while somebody points at the list or has the focus in it.
import { useEffect, useRef, useState } from "../html.js";

/**
 * {items, moved, settle, touch}: `items` in the order of `sorted`, or in the order of the moment the list was touched; `moved` counts those
 * that would stand elsewhere, new ones among them; `settle()` takes the new order. Give `touch` to what
 * holds the list and the button that settles it.
 */
export function useFrozenOrder(sorted, keyOf) {
  const [pointed, setPointed] = useState(false);
  const [focused, setFocused] = useState(false);
  const order = useRef([]);
  const frozen = pointed || focused;
  if (!frozen || !order.current.length) order.current = sorted.map(keyOf);
  const [, redraw] = useState(0);
  const items = frozen ? inOrder(sorted, order.current, keyOf) : sorted;
  const moved = frozen ? countMoved(sorted, items) : 0;
  useEffect(() => {
    if (frozen) order.current = items.map(keyOf);
  });
  const touch = {
    onPointerEnter: (event) => event.pointerType !== "touch" && setPointed(true),
    onPointerLeave: () => setPointed(false),
    onFocusCapture: (event) => event.target.matches(":focus-visible") && setFocused(true),
    onBlurCapture: (event) => !event.currentTarget.contains(event.relatedTarget) && setFocused(false),
  };
  const settle = () => {
    order.current = sorted.map(keyOf);
    redraw((count) => count + 1);
  };
  return { items, moved, settle, touch, frozen };
}

/** Items in an earlier order; those that are new come last. */
function inOrder(sorted, keys, keyOf) {
  const place = new Map(keys.map((key, index) => [key, index]));
  return [...sorted].sort((a, b) => (place.get(keyOf(a)) ?? Infinity) - (place.get(keyOf(b)) ?? Infinity) || 0);
}

/** Fewest items that have to move: all but the longest run that is in order already. */
function countMoved(sorted, shown) {
  const place = new Map(sorted.map((item, index) => [item, index]));
  const ends = [];
  for (const item of shown) {
    const at = place.get(item);
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ends[middle] < at) low = middle + 1;
      else high = middle;
    }
    ends[low] = at;
  }
  return shown.length - ends.length;
}
