// Where in the face the evidence lies: a grid of regions on a drawn outline. No picture of anybody exists here.
import { html } from "../html.js";
import { preciseTime, signed } from "../format.js";
import { toneOf } from "./score.js";

const CELLS = 6;
const SIZE = 30;
const LEVELS = 4;
const REGIONS = [["forehead", 0, 1], ["eyes", 2, 2], ["nose and cheeks", 3, 3], ["mouth", 4, 4], ["chin", 5, 5]];

/** maps: `face_maps` of an explanation. Cells are added up over the frames and shown in a few steps, not in fine shades. */
export function FaceGrid({ maps }) {
  const cells = Array.from({ length: CELLS * CELLS }, (_, index) => maps.reduce((sum, map) => sum + map.cells[index], 0) / 10_000);
  const most = Math.max(0.02, ...cells.map(Math.abs));
  const strongest = strongestRegion(cells);
  const times = maps.map(({ start_ms: at }) => preciseTime(at)).join(", ");
  return html`<figure class="face"><svg viewBox=${`0 0 ${CELLS * SIZE} ${CELLS * SIZE}`} role="img"
      aria-label=${`Regions of the face at ${times}: the strongest is ${strongest.name}, ${signed(strongest.value, 2)}`}>
    ${cells.map((value, index) => {
      const level = Math.round((Math.abs(value) / most) * LEVELS);
      const x = (index % CELLS) * SIZE;
      const y = Math.floor(index / CELLS) * SIZE;
      return html`<g key=${index}><rect class=${`cell ${toneOf(value, 0)}`} x=${x + 1} y=${y + 1} width=${SIZE - 2} height=${SIZE - 2} rx="3" fill-opacity=${(level / LEVELS) * 0.85} />
        ${level === LEVELS && html`<text x=${x + SIZE / 2} y=${y + SIZE / 2 + 5}>${value < 0 ? "−" : "+"}</text>`}</g>`;
    })}
    <g class="outline"><path d="M90 10c38 0 62 26 62 66 0 48-30 94-62 94S28 124 28 76c0-40 24-66 62-66z" /><path d="M50 74q13-8 26 0q-13 8-26 0zM104 74q13-8 26 0q-13 8-26 0zM46 60q15-9 32-4M102 56q17-5 32 4M90 78v30M82 112q8 5 16 0M70 136h40" /></g></svg>
    <figcaption class="small">Mostly ${strongest.name} (${signed(strongest.value, 2)}), at ${times}. The outline is drawn: no picture is kept.</figcaption></figure>`;
}

function strongestRegion(cells) {
  const sums = REGIONS.map(([name, first, last]) => ({ name, value: cells.slice(first * CELLS, (last + 1) * CELLS).reduce((sum, cell) => sum + cell, 0) }));
  return sums.reduce((best, each) => (Math.abs(each.value) > Math.abs(best.value) ? each : best));
}
