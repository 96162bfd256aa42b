/** @file The models: how they stand, who waits for them, what happened to them, and what can be done. */

import { html, useEffect, useMemo, useRef } from "../../html.js";
import { Button } from "../../components/button.js";
import { Card } from "../../components/card.js";
import { Empty } from "../../components/empty.js";
import { SearchField, Select, Switch } from "../../components/field.js";
import { PageHeader } from "../../components/page.js";
import { clockTime, plural } from "../../lib/format.js";
import { plain } from "../../lib/bidi.js";
import { byPlace } from "../../lib/names.js";
import { matches, ordered } from "../../lib/model-order.js";
import { useQueryParam } from "../../state/router.js";
import { stored } from "../../state/settings.js";
import { asOf, connection, known, models, queue } from "../../state/store.js";
import { UnloadAll } from "./actions.js";
import { HistoryCard } from "./history.js";
import { ProfilesCard, SelectorsCard } from "./meanings.js";
import { followResidency } from "./residency.js";
import { ModelRow, PeerRow } from "./row.js";
import { askForSample, memories, standings } from "./standing.js";
import { WaitingCard } from "./waiting.js";

/** @typedef {import("../../types.js").Model} Model */

const SORTS = [
  { value: "state", label: "By state" },
  { value: "name", label: "By name" },
  { value: "recent", label: "Last loaded first" },
];

const showsUnlisted = stored("models-unlisted", true);
const sort = stored("models-sort", "state", (value) => SORTS.some((each) => each.value === value));
const isTexts = (/** @type {unknown} */ value) =>
  Array.isArray(value) && value.every((each) => typeof each === "string");
const pinned = stored("models-pinned", /** @type {string[]} */ ([]), isTexts);

/** @param {string} id */
const togglePin = (id) => {
  pinned.value = pinned.value.includes(id) ? pinned.value.filter((each) => each !== id) : [...pinned.value, id];
};

export default function Models() {
  const [search, setSearch] = useQueryParam("q");
  useEffect(followResidency, []);
  useEffect(() => void askForSample(), []);
  const all = models.value;
  const { local } = useMemo(() => byPlace(all), [all]);
  const found = all.filter((model) => (showsUnlisted.value || !model.unlisted) && matches(model, search));
  const [order, hold] = useHeld(ordered(found, { sort: sort.value, pinned: pinned.value, standings: standings.value }));
  const mine = byPlace(order);
  const isOld = connection.value !== "open";
  return html`
    <div class=${`models stack ${isOld ? "models-old" : ""}`}>
      <${Head} local=${local} peers=${all.length - local.length} />
      <${WaitingCard} />
      <${HistoryCard} />
      ${all.length > 0 && html`
        <div class="models-tools">
          <${SearchField} label="Find a model" value=${search} onInput=${setSearch} />
          <${Select} label="Order" hideLabel value=${sort.value} options=${SORTS}
            onInput=${(/** @type {string} */ value) => (sort.value = value)} />
          ${all.some((model) => model.unlisted) && html`
            <${Switch} label="Show unlisted models" value=${showsUnlisted.value}
              onInput=${(/** @type {boolean} */ value) => (showsUnlisted.value = value)} />
          `}
        </div>
      `}
      <div class="stack" ...${hold}><${Listed} all=${all} found=${found} mine=${mine} search=${search}
        onClear=${() => setSearch(null)} /></div>
      <div class="models-pair"><${ProfilesCard} /><${SelectorsCard} /></div>
    </div>
  `;
}

/**
 * Keeps rows in their places while the pointer is over them or the keyboard is in them: a state that changes must not
 * put another model's button under the finger.
 * @param {Model[]} order as it should be
 * @returns {[Model[], Record<string, (event: any) => void>]} as it is, and the handlers of what holds the rows
 */
function useHeld(order) {
  const held = useRef({ pointer: false, keyboard: false, ids: /** @type {string[]} */ ([]) }).current;
  const handlers = {
    onPointerEnter: () => void (held.pointer = true),
    onPointerLeave: () => void (held.pointer = false),
    onFocusIn: (/** @type {FocusEvent} */ event) => {
      held.keyboard = /** @type {Element} */ (event.target).matches(":focus-visible");
    },
    onFocusOut: () => void (held.keyboard = false),
  };
  if (held.pointer || held.keyboard) {
    const places = new Map(held.ids.map((id, index) => [id, index]));
    const place = (/** @type {Model} */ model) => places.get(model.id) ?? places.size;
    return [[...order].sort((a, b) => place(a) - place(b)), handlers];
  }
  held.ids = order.map((model) => model.id);
  return [order, handlers];
}

/** @typedef {Parameters<typeof ModelRow>[0]} RowProps */
/** @typedef {{props: RowProps, node: import("../../html.js").Node}} Made */

/**
 * Returns what makes a row. The same node again tells Preact that there is nothing new in it: with hundreds of models
 * and news many times a second, drawing all of them would be felt.
 * @returns {(props: RowProps) => import("../../html.js").Node}
 */
function useRows() {
  const made = useRef(/** @type {Map<string, Made>} */ (new Map())).current;
  return (props) => {
    const old = made.get(props.model.id);
    const keys = /** @type {(keyof RowProps)[]} */ (Object.keys(props));
    if (old && keys.every((key) => props[key] === old.props[key])) return old.node;
    const node = html`<${ModelRow} key=${props.model.id} ...${props} />`;
    made.set(props.model.id, { props, node });
    return node;
  };
}

/** @param {{local: Model[], peers: number}} props */
function Head({ local, peers }) {
  let ready = 0;
  let up = 0;
  let serving = 0;
  for (const model of local) {
    if (model.state === "ready") ready += 1;
    if (model.state !== "stopped") up += 1;
    serving += standings.value.get(model.id)?.serving ?? 0;
  }
  const parts = [
    plural(local.length, "model"),
    peers && `${plural(peers, "model")} of peers`,
    `${ready} ready`,
    up > ready && `${up - ready} on the way`,
    serving && `${plural(serving, "request")} in flight`,
  ];
  const words = parts.filter(Boolean).join(" · ");
  const subtitle = known.value ? html`${words}${asOf.value !== null && html` <b
    class="models-asof">as of ${clockTime(asOf.value)}</b>`}` : "Connecting…";
  const live = html`<p class="unseen" aria-live="polite">${known.value ? `${ready} ready` : ""}</p>`;
  return html`${live}<${PageHeader} title="Models" subtitle=${subtitle} actions=${html`<${UnloadAll} serving=${serving}
    waiting=${queue.value.length} up=${up} />`} />`;
}

/**
 * @param {{
 *   all: Model[], found: Model[], mine: {local: Model[], peers: Map<string, Model[]>}, search: string,
 *   onClear: () => void,
 * }} props
 */
function Listed({ all, found, mine, search, onClear }) {
  const row = useRows();
  if (!known.value) return html`<${Empty} title="Asking how the models stand…" />`;
  if (all.length === 0) return html`<${Empty} icon="models"
    title="No models yet">Add some under <code>models:</code> in the configuration; a reload shows them here.<//>`;
  if (found.length === 0) {
    const words = search ? `None matches “${plain(search)}”.` : "All of them are unlisted.";
    return html`<${Empty} icon="search" title="No model to show" action=${search && html`<${Button}
      onClick=${onClear}>Show all<//>`}>${words}<//>`;
  }
  return html`
    ${mine.local.length > 0 && html`
      <${Card} title="This machine" flush>
        <ul class="models-list">
          ${mine.local.map((model) => {
            const standing = standings.value.get(model.id);
            const memory = memories.value.get(model.id);
            const isPinned = pinned.value.includes(model.id);
            return standing && row({ model, standing, memory, isPinned, onPin: togglePin });
          })}
        </ul>
      <//>
    `}
    ${[...mine.peers].map(([peer, theirs]) => html`
      <${Card} key=${peer} title=${`Peer ${plain(peer)}`} flush>
        <ul class="models-list">${theirs.map((model) => html`<${PeerRow} key=${model.id} model=${model}
          isPinned=${pinned.value.includes(model.id)} onPin=${togglePin} />`)}</ul>
      <//>
    `)}
  `;
}
