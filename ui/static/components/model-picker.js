/**
 * Choosing who is to be asked: a combobox over everything that has a name here. It remembers nothing itself.
 *
 * Any other name may be typed, too: models that are unlisted answer like all others.
 */

import { html, useEffect, useId, useRef, useState } from "../html.js";
import { plain } from "../lib/bidi.js";
import { choices } from "../lib/names.js";
import { choiceOf, likeliest, searchChoices } from "../lib/picker.js";
import { connection, known, models, profile, profiles, selectors } from "../state/store.js";
import { stylesheet } from "../stylesheet.js";
import { Icon } from "./icon.js";
import { Popover } from "./popover.js";
import { StateDot, stateLook } from "./tag.js";

/** @typedef {import("../lib/names.js").Choice} Choice */
/** @typedef {import("../lib/names.js").ChoiceGroup} ChoiceGroup */
/** @typedef {import("../types.js").Ability} Ability */

void stylesheet("model-picker");

/**
 * Returns what is offered now; read in a component, it is kept up to date.
 *
 * @param {Ability} [ability]
 * @returns {ChoiceGroup[]}
 */
export function offered(ability) {
  const active = profiles.value.find((each) => each.id === profile.value) ?? null;
  return choices(models.value, { profile: active, selectors: selectors.value, ability, unlisted: false });
}

/** @param {Event} event  a press that is taken, be it on a scroll bar, leaves the focus in the field */
const stay = (event) => event.preventDefault();

/** @param {string} id */
const option = (id) => `${id}-active`;

/**
 * @param {{
 *   value: string, onInput: (value: string) => void, capability?: Ability, label: string, hideLabel?: boolean,
 *   disabled?: boolean, class?: string, placeholder?: string,
 * }} props  value: empty for nothing chosen
 */
export function ModelPicker(props) {
  const { value, onInput, capability, label, hideLabel, disabled, class: more, placeholder = "Choose a model …" } = props;
  const id = useId();
  const anchor = useRef(/** @type {HTMLElement | null} */ (null));
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const [typed, setTyped] = useState(/** @type {string | null} */ (null));
  const [active, setActive] = useState("");
  const open = typed !== null;
  const groups = offered(capability);
  const chosen = choiceOf(groups, value);
  const fitting = open ? searchChoices(groups, typed) : [];
  const found = open ? withTyped(fitting, groups, typed) : [];
  const ids = found.flatMap((group) => group.choices).filter((each) => !each.disabled).map((each) => each.id);
  const meant = (typed && likeliest(fitting, typed)?.id) || (ids.includes(value) ? value : (ids[0] ?? ""));
  const current = ids.includes(active) ? active : meant;

  const show = () => {
    if (disabled || open) return;
    setTyped("");
    setActive(value);
    input.current?.select();
  };
  const close = () => setTyped(null);
  /** @param {string} name */
  const choose = (name) => {
    close();
    if (name !== value) onInput(name);
  };
  /** @param {KeyboardEvent} event */
  const pressed = (event) => {
    if (event.key === "Tab") return close();
    if (event.isComposing) return undefined;
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    if (step === undefined && event.key !== "Enter") return undefined;
    if (event.key === "Enter" && !open) return undefined;
    event.preventDefault();
    if (!open) return show();
    if (event.key === "Enter") return current ? choose(current) : undefined;
    const next = ids.indexOf(current) + /** @type {number} */ (step);
    // Single steps go round, large ones stop at the ends.
    const isSingle = Math.abs(Number(step)) === 1;
    const place = isSingle ? (next + ids.length) % ids.length : Math.min(Math.max(next, 0), ids.length - 1);
    return setActive(ids[place] ?? "");
  };
  useEffect(() => {
    // What is typed next is a search, not the rest of the name that stands there.
    if (!open && document.activeElement === input.current) input.current?.select();
  }, [open, value]);
  const lost = known.value && value !== "" && !chosen;
  return html`
    <div class=${`field model-picker ${more ?? ""}`}>
      <label class=${hideLabel ? "unseen" : "field-label"} for=${id}>${label}</label>
      <span class="picker-box" ref=${anchor}>
        ${chosen?.state ?
        html`
          <${StateDot} state=${standing(chosen.state)} />` : html`<span class="picker-nothing"></span>
        `}
        <input
          ref=${input}
          id=${id}
          class="control"
          role="combobox"
          autocomplete="off"
          autocapitalize="off"
          spellcheck=${false}
          aria-autocomplete="list"
          aria-expanded=${String(open)}
          aria-controls=${open ? `${id}-list` : undefined}
          aria-activedescendant=${open && current ? option(id) : undefined}
          aria-describedby=${`${id}-note`}
          disabled=${disabled}
          placeholder=${open && chosen ? nameOf(chosen) : placeholder}
          title=${chosen ? plain(`${chosen.id} ${chosen.detail}`) : undefined}
          value=${open ? typed : chosen ? nameOf(chosen) : plain(value)}
          onInput=${(/** @type {Event} */ event) => {
            setTyped(/** @type {HTMLInputElement} */ (event.currentTarget).value);
            setActive("");
          }}
          onFocus=${() => input.current?.select()}
          onClick=${show}
          onKeyDown=${pressed}
          onBlur=${close}
        />
        <${Icon} name="chevron-down" class="small" />
      </span>
      <p class=${lost ? "field-hint" : "unseen"} id=${`${id}-note`}>
        ${lost && "Not in the list. It is asked for as it is written."}
        ${chosen?.state && stateLook(standing(chosen.state)).words}
      </p>
      ${open &&
      html`
        <${Popover}
          anchor=${anchor}
          onClose=${close}
          onMouseDown=${stay}
          class="picker-popover"
          style=${{ width: `${anchor.current?.offsetWidth}px` }}
        >
          <${Options} id=${id} label=${label} groups=${found} current=${current} value=${value} onChoose=${choose} />
        <//>
      `}
    </div>
  `;
}

/**
 * @param {{
 *   id: string, label: string, groups: ChoiceGroup[], current: string, value: string, onChoose: (id: string) => void,
 * }} props
 */
function Options({ id, label, groups, current, value, onChoose }) {
  useEffect(() => document.getElementById(option(id))?.scrollIntoView({ block: "nearest" }), [current]);
  // A name that a pin hides is offered twice; only one of the two can be the active one.
  let isTaken = false;
  return html`
    <div role="listbox" id=${`${id}-list`} aria-label=${label}>
      ${groups.map(
        (group, index) => html`
          <div role="group" aria-labelledby=${`${id}-group-${index}`}>
            <p class="picker-group" id=${`${id}-group-${index}`}>${plain(group.label)}</p>
            ${group.choices.map((choice) => {
              const isActive = choice.id === current && !choice.disabled && !isTaken;
              isTaken ||= isActive;
              const own = isActive ? option(id) : undefined;
              return html`<${Option} id=${own} ...${{ choice, isActive, value, onChoose }} />`;
            })}
          </div>
        `,
      )}
      ${groups.length === 0 &&
      html`
        <p class="picker-empty">${known.value ? "There is no model yet." : "Connecting …"}</p>
      `}
    </div>
  `;
}

/** @param {{ id?: string, choice: Choice, isActive: boolean, value: string, onChoose: (id: string) => void }} props */
function Option({ id, choice, isActive, value, onChoose }) {
  const isAlias = choice.label.startsWith(ALIAS);
  return html`
    <div
      role="option"
      id=${id}
      class=${`picker-option ${isAlias ? "alias" : ""} ${isActive ? "active" : ""}`}
      aria-selected=${String(choice.id === value)}
      aria-disabled=${choice.disabled ? "true" : undefined}
      onClick=${() => !choice.disabled && onChoose(choice.id)}
    >
      ${choice.state ?
      html`
        <${StateDot} state=${standing(choice.state)} />` : html`<span class="picker-nothing"></span>
      `}
      <span class="picker-words">
        <bdi class="picker-name">${isAlias && html`<span aria-hidden="true">${ALIAS}</span>`}${nameOf(choice)}</bdi>
        ${choice.detail && html`<bdi class="picker-detail">${plain(choice.detail)}</bdi>`}
      </span>
      ${choice.id === value && html`<${Icon} name="check" class="small" />`}
    </div>
  `;
}

/** What lib/names.js writes before an alias. */
const ALIAS = "↳ ";

/** @param {Choice} choice */
function nameOf(choice) {
  return plain(choice.label.startsWith(ALIAS) ? choice.label.slice(ALIAS.length) : choice.label);
}

/**
 * What may be said of a state: while the line is down, nobody knows it.
 *
 * @param {string} state
 */
function standing(state) {
  return connection.value === "open" ? state : "unknown";
}

/**
 * @param {ChoiceGroup[]} found
 * @param {ChoiceGroup[]} all
 * @param {string} typed
 * @returns {ChoiceGroup[]} with the text itself as a name, if it is none of those offered
 */
function withTyped(found, all, typed) {
  const name = typed.trim();
  if (name === "" || choiceOf(all, name)) return found;
  /** @type {Choice} */
  const choice = { id: name, label: name, detail: "a name that is not listed", state: "" };
  return [...found, { label: "As typed", choices: [choice] }];
}
