/** @file One model in the list: a line where there is room, a card where there is none. */

import { html, useId, useState } from "../../html.js";
import { Icon } from "../../components/icon.js";
import { Link } from "../../components/link.js";
import { StateDot, Tag } from "../../components/tag.js";
import { plain } from "../../lib/bidi.js";
import { plural } from "../../lib/format.js";
import { displayName } from "../../lib/names.js";
import { modelPath } from "../../lib/query.js";
import { stored } from "../../state/settings.js";
import { ModelButton, PinButton } from "./actions.js";
import { CapabilityTags, MemoryWords, ServerLink, StateWords, Users } from "./parts.js";

/** @typedef {import("../../types.js").Model} Model */
/** @typedef {import("./standing.js").Standing} Standing */
/** @typedef {import("./standing.js").Memory} Memory */

const shows = stored("capability-tags", true);

/**
 * @param {{
 *   model: Model, standing: Standing, memory?: Memory, isPinned: boolean, onPin: (id: string) => void,
 * }} props
 */
export function ModelRow({ model, standing, memory, isPinned, onPin }) {
  const [open, setOpen] = useState(false);
  const id = useId();
  const name = plain(displayName(model));
  const isOpen = open && standing.requests.length > 0;
  return html`
    <li class=${`models-row ${standing.state}`}>
      <div class="models-main">
        <${StateDot} state=${standing.state} />
        <${Name} model=${model} name=${name} />
      </div>
      <div class="models-use">
        ${standing.serving > 0 &&
        html`
          <button
            type="button" class="models-count" aria-expanded=${String(isOpen)} aria-controls=${id}
            onClick=${() => setOpen(!isOpen)}
          >serves ${plural(standing.serving, "request")}<${Icon} name=${isOpen ? "chevron-up" : "chevron-down"}
            class="small" /></button>
        `}
        ${standing.waiting > 0 && html`<span class="models-waiting"><${Icon} name="clock"
          class="small" />${plural(standing.waiting, "request")} ${standing.waiting === 1 ? "waits" : "wait"}</span>`}
        <${MemoryWords} memory=${memory} />
      </div>
      <${StateWords} model=${model} standing=${standing} />
      <div class="models-actions">
        <${PinButton} isPinned=${isPinned} name=${name} onToggle=${() => onPin(model.id)} />
        <${ServerLink} model=${model} />
        <${ModelButton} model=${model} standing=${standing} />
      </div>
      ${isOpen && html`<${Users} requests=${standing.requests} id=${id} />`}
    </li>
  `;
}

/** @param {{model: Model, name: string}} props */
function Name({ model, name }) {
  const others = [...(name === plain(model.id) ? [] : [model.id]), ...(model.aliases ?? [])];
  return html`
    <div class="models-name">
      <span class="models-title">
        <${Link} to=${modelPath(model.id)} class="model-link">${name}<//>
        ${model.unlisted && html`<${Tag} title="Is not in the list that clients are given">unlisted<//>`}
        ${shows.value && html`<${CapabilityTags} model=${model} />`}
      </span>
      ${others.length > 0 && html`<span class="models-ids mono">${others.map(plain).join(" · ")}</span>`}
      ${model.description && html`<span class="models-about"
        title=${plain(model.description)}>${plain(model.description)}</span>`}
    </div>
  `;
}

/**
 * A model of a peer, whose state is not known here.
 *
 * @param {{model: Model, isPinned: boolean, onPin: (id: string) => void}} props
 */
export function PeerRow({ model, isPinned, onPin }) {
  const name = plain(displayName(model));
  return html`
    <li class="models-row peer">
      <div class="models-main"><${StateDot} state="" title=${`at ${plain(model.peerID)}`} /><${Name} model=${model}
        name=${name} /></div>
      <div class="models-use faint">how it stands there is not known here</div>
      <div class="models-actions"><${PinButton} isPinned=${isPinned} name=${name}
        onToggle=${() => onPin(model.id)} /></div>
    </li>
  `;
}
