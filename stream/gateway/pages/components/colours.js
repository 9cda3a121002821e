// Colours of the style sheet, for what is drawn on a canvas.

/** {negative, neutral, positive, line, quiet, ink, …} as they are now, for the present theme. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["negative", "neutral", "positive", "negative-soft", "positive-soft", "line", "line-strong", "quiet", "ink", "accent", "surface", "sunken"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** A pattern of thin diagonal lines: "a person should look here". */
export function hatching(context, colour) {
  const tile = document.createElement("canvas");
  const size = 8;
  tile.width = size;
  tile.height = size;
  const pen = tile.getContext("2d");
  pen.strokeStyle = colour;
  pen.lineWidth = 1.2;
  pen.beginPath();
  for (const offset of [-size, 0, size]) {
    pen.moveTo(offset, size);
    pen.lineTo(offset + size, 0);
  }
  pen.stroke();
  return context.createPattern(tile, "repeat");
}
