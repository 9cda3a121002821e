// The list of shortcuts, of this page and of all pages.
import { html, useEffect, useRef } from "../html.js";
import { EVERYWHERE, shown } from "../keys.js";
import { preferences } from "../preferences.js";
import { useStore } from "../stores.js";
import { Icon } from "./icons.js";

export function Help({ page, onClose }) {
  const dialog = useRef(null);
  const { shortcuts } = useStore(preferences);
  useEffect(() => {
    dialog.current.showModal();
    return () => dialog.current?.close();
  }, []);
  return html`<dialog class="help" ref=${dialog} onClose=${onClose} aria-labelledby="help-title"
      onClick=${(event) => event.target === dialog.current && onClose()}>
    <div class="row between"><h2 id="help-title">Shortcuts</h2>
      <button class="icon" type="button" onClick=${onClose} aria-label="Close"><${Icon} name="close" /></button></div>
    ${page?.shortcuts?.length > 0 && html`<h3>${page.title}</h3><${List} shortcuts=${page.shortcuts} />`}
    <h3>Everywhere</h3><${List} shortcuts=${EVERYWHERE} />
    <label class="switch"><input type="checkbox" checked=${shortcuts} onChange=${(event) => preferences.set({ shortcuts: event.target.checked })} />
      Shortcuts with a single letter</label>
    <h3>Signs</h3>
    <p class="small">A score lies between −3 (negative) and +3 (positive). It says how a few seconds come across, not what somebody feels.${" "}
      <b>Unclear</b> means that the model is unsure and a person should look. A struck-through icon is a source that is missing or not used; its title says why.</p>
  </dialog>`;
}

function List({ shortcuts }) {
  return html`<dl class="keys">${shortcuts.map(({ keys, does }) => html`<div key=${does}>
    <dt>${keys.map((each, index) => html`${index > 0 && " or "}<kbd>${shown(each)}</kbd>`)}</dt><dd>${does}</dd></div>`)}</dl>`;
}
