/** @file What can be done with a model: load it, give that up, unload it, which asks first if somebody would notice. */

import { html, useState } from "../../html.js";
import { Button, IconButton } from "../../components/button.js";
import { Dialog } from "../../components/dialog.js";
import { plain } from "../../lib/bidi.js";
import { plural } from "../../lib/format.js";
import { displayName } from "../../lib/names.js";
import { listed } from "../../lib/waiting.js";
import { cancelLoad, loadModel, loads, unloadAll, unloadModel } from "../../state/actions.js";
import { connection } from "../../state/store.js";

/** @typedef {import("../../types.js").Model} Model */
/** @typedef {import("./standing.js").Standing} Standing */

/**
 * The one button that makes sense in a model's state.
 *
 * @param {{model: Model, standing: Standing, words?: boolean}} props  words: larger, with text on the phone, too
 */
export function ModelButton({ model, standing, words }) {
  const [asks, setAsks] = useState(false);
  const [busy, setBusy] = useState(false);
  const name = plain(displayName(model));
  const disabled = connection.value !== "open";
  const mine = loads.value.has(model.id);
  const unload = async () => {
    setAsks(false);
    setBusy(true);
    await unloadModel(model.id);
    setBusy(false);
  };
  if (mine) {
    const isStarting = standing.state === "starting";
    const cancel = () => {
      cancelLoad(model.id);
      // A load under way is finished though nobody waits for it; who cancels wants it gone, unless others wait, too.
      if (isStarting && standing.waiting <= 1) void unloadModel(model.id);
    };
    const label = `Cancel ${isStarting ? "loading" : "the load of"} ${name}`;
    return html`<${Button} icon="close" class="models-act" aria-label=${label} onClick=${cancel}>Cancel<//>`;
  }
  if (standing.state === "stopped" || standing.state === "failed") {
    return html`
      <${Button}
        kind=${words ? "primary" : "plain"} icon="play" class="models-act" disabled=${disabled}
        aria-label=${standing.state === "failed" ? `Try again to load ${name}` : `Load ${name}`}
        onClick=${() => loadModel(model.id)}
      >${standing.state === "failed" ? "Try again" : "Load"}<//>
    `;
  }
  const isLoading = standing.state === "starting";
  const does = isLoading ? "Stop loading" : "Unload";
  const label = `${standing.state === "stopping" ? "Stopping" : does} ${name}`;
  const harm = harmWords(standing.serving, standing.waiting);
  return html`
    <${Button}
      icon=${isLoading ? "close" : "stop"} class="models-act" disabled=${disabled || standing.state === "stopping"}
      busy=${busy || standing.state === "stopping"} aria-label=${label}
      onClick=${() => (harm ? setAsks(true) : unload())}
    >${standing.state === "stopping" ? "Stopping" : isLoading ? "Stop" : "Unload"}<//>
    <${Asking}
      open=${asks} title=${`${does} ${name}?`} harm=${harm} does=${isLoading ? "Stop" : "Unload"}
      onClose=${() => setAsks(false)} onDo=${unload}
    />
  `;
}

/** @param {{serving: number, waiting: number, up: number}} props  of all models together */
export function UnloadAll({ serving, waiting, up }) {
  const [asks, setAsks] = useState(false);
  const [busy, setBusy] = useState(false);
  const harm = harmWords(serving, waiting);
  const unload = async () => {
    setAsks(false);
    setBusy(true);
    // Those that this page waits for would only be told as failures.
    for (const id of loads.value.keys()) cancelLoad(id);
    await unloadAll();
    setBusy(false);
  };
  return html`
    <${Button}
      icon="stop" busy=${busy} disabled=${connection.value !== "open" || (up === 0 && waiting === 0)}
      onClick=${() => (harm ? setAsks(true) : unload())}
    >Unload all<//>
    <${Asking} open=${asks} title="Unload all models?" harm=${harm} does="Unload all" onClose=${() => setAsks(false)}
      onDo=${unload} />
  `;
}

/** @param {{open: boolean, title: string, harm: string, does: string, onClose: () => void, onDo: () => void}} props */
function Asking({ open, title, harm, does, onClose, onDo }) {
  const footer = html`
    <${Button} kind="quiet" onClick=${onClose}>Keep<//>
    <${Button} kind="danger" onClick=${onDo}>${does}<//>
  `;
  return html`<${Dialog} open=${open} onClose=${onClose} title=${title} size="small"
    footer=${footer}><p>${harm || "Nothing is cut by it any more."}</p><//>`;
}

/**
 * @param {number} serving
 * @param {number} waiting
 */
function harmWords(serving, waiting) {
  const parts = [];
  if (serving > 0) parts.push(`${plural(serving, "request")} in flight will be cut`);
  if (waiting > 0) parts.push(`${plural(waiting, "request")} that ${waiting === 1 ? "waits" : "wait"} will be refused`);
  const words = listed(parts);
  return words && `${words[0].toUpperCase()}${words.slice(1)}.`;
}

/** @param {{isPinned: boolean, name: string, onToggle: () => void}} props */
export function PinButton({ isPinned, name, onToggle }) {
  return html`
    <${IconButton} icon="pin" class="models-pin" label=${`Keep ${name} at the top`} pressed=${isPinned}
      onClick=${onToggle} />
  `;
}
