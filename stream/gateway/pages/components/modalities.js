// Which sources a result rests on.
import { html } from "../html.js";
import { MODALITIES, modalityName, withheldReason } from "../format.js";
import { Icon } from "./icons.js";

/** Icons of the modalities that are there, missing (struck through) or not used (struck through, in a dashed ring); each says which. */
export function Modalities({ result }) {
  const { modalities_present: present = [], modalities_expected: expected = [], withheld = {} } = result;
  const shown = MODALITIES.filter((each) => present.includes(each) || expected.includes(each) || each in withheld);
  return html`<span class="modalities" role="list" aria-label="Sources">${shown.map((each) => {
    const kind = each in withheld ? "withheld" : present.includes(each) ? "present" : "missing";
    const says = { present: "used", missing: "expected, but missing in this window", withheld: withheldReason(withheld[each]) }[kind];
    const text = `${modalityName(each)}: ${says}`;
    return html`<span key=${each} class=${`modality ${kind}`} role="listitem" title=${text}><${Icon} name=${each} /><span class="unseen">${text}</span></span>`;
  })}</span>`;
}
