import { html, useId } from "../html.js";
import { Icon } from "./icon.js";

/** @typedef {import("../html.js").Children} Children */
/** @typedef {{ value: string, label: string, disabled?: boolean }} Option */
/** @typedef {{ label: string, options: Option[] }} OptionGroup */

/**
 * What all fields share. Other attributes (placeholder, disabled, min, autocomplete, …) reach the control itself.
 *
 * @typedef {{
 *   label: string, hideLabel?: boolean, hint?: Children, error?: Children, class?: string, [attribute: string]: any,
 * }} FieldProps
 */

/**
 * @param {{
 *   id: string, label: string, hideLabel?: boolean, hint?: Children, error?: Children, class?: string,
 *   children: Children,
 * }} props
 */
function Field({ id, label, hideLabel, hint, error, class: more, children }) {
  return html`
    <div class=${`field ${error ? "invalid" : ""} ${more ?? ""}`}>
      <label class=${hideLabel ? "unseen" : "field-label"} for=${id}>${label}</label>
      ${children}
      ${error
        ? html`<p class="field-error" id=${`${id}-hint`} role="alert">${error}</p>`
        : hint && html`<p class="field-hint" id=${`${id}-hint`}>${hint}</p>`}
    </div>
  `;
}

/**
 * The attributes that tie a control to its hint or error.
 *
 * @param {string} id
 * @param {{ hint?: Children, error?: Children }} texts
 */
const tied = (id, { hint, error }) => ({
  id,
  "aria-describedby": hint || error ? `${id}-hint` : undefined,
  "aria-invalid": error ? "true" : undefined,
});

/** @param {Event} event */
const valueOf = (event) => /** @type {HTMLInputElement} */ (event.currentTarget).value;

/** @param {FieldProps & { value: string, onInput: (value: string) => void, type?: string }} props */
export function TextField({ label, hideLabel, hint, error, class: more, value, onInput, type = "text", ...rest }) {
  const id = useId();
  return html`
    <${Field} ...${{ id, label, hideLabel, hint, error, class: more }}>
      <input
        ...${rest}
        ...${tied(id, { hint, error })}
        class="control"
        type=${type}
        value=${value}
        onInput=${(/** @type {Event} */ event) => onInput(valueOf(event))}
      />
    <//>
  `;
}

/** @param {FieldProps & { value: number | null, onInput: (value: number | null) => void }} props  null: left empty */
export function NumberField({ label, hideLabel, hint, error, class: more, value, onInput, ...rest }) {
  const id = useId();
  /** @param {Event} event */
  const typed = (event) => {
    const number = /** @type {HTMLInputElement} */ (event.currentTarget).valueAsNumber;
    onInput(Number.isNaN(number) ? null : number);
  };
  return html`
    <${Field} ...${{ id, label, hideLabel, hint, error, class: more }}>
      <input
        ...${rest}
        ...${tied(id, { hint, error })}
        class="control number"
        type="number"
        value=${value ?? ""}
        onInput=${typed}
      />
    <//>
  `;
}

/** @param {FieldProps & { value: string, onInput: (value: string) => void, rows?: number }} props */
export function TextArea({ label, hideLabel, hint, error, class: more, value, onInput, rows = 3, ...rest }) {
  const id = useId();
  return html`
    <${Field} ...${{ id, label, hideLabel, hint, error, class: more }}>
      <textarea
        ...${rest}
        ...${tied(id, { hint, error })}
        class="control"
        rows=${rows}
        value=${value}
        onInput=${(/** @type {Event} */ event) => onInput(valueOf(event))}
      ></textarea>
    <//>
  `;
}

/** @param {{ value: string, option: Option }} props */
const SelectOption = ({ value, option }) => html`
  <option value=${option.value} selected=${option.value === value} disabled=${option.disabled}>${option.label}</option>
`;

/**
 * @param {FieldProps & {
 *   value: string, onInput: (value: string) => void, options: (Option | OptionGroup)[],
 * }} props
 */
export function Select({ label, hideLabel, hint, error, class: more, value, onInput, options, ...rest }) {
  const id = useId();
  return html`
    <${Field} ...${{ id, label, hideLabel, hint, error, class: more }}>
      <span class="select">
        <select
          ...${rest}
          ...${tied(id, { hint, error })}
          class="control"
          value=${value}
          onChange=${(/** @type {Event} */ event) => onInput(valueOf(event))}
        >
          ${options.map((option) =>
            "options" in option
              ? html`
                  <optgroup label=${option.label}>
                    ${option.options.map((inner) => html`<${SelectOption} value=${value} option=${inner} />`)}
                  </optgroup>
                `
              : html`<${SelectOption} value=${value} option=${option} />`,
          )}
        </select>
        <${Icon} name="chevron-down" class="small" />
      </span>
    <//>
  `;
}

/** @param {FieldProps & { value: boolean, onInput: (value: boolean) => void }} props */
export function Switch({ label, hideLabel, hint, error, class: more, value, onInput, ...rest }) {
  const id = useId();
  /** @param {Event} event */
  const changed = (event) => onInput(/** @type {HTMLInputElement} */ (event.currentTarget).checked);
  return html`
    <div class=${`switch-field ${more ?? ""}`}>
      <label class="switch-row">
        <input
          ...${rest}
          ...${tied(id, { hint, error })}
          class="switch"
          type="checkbox"
          role="switch"
          checked=${value}
          onChange=${changed}
        />
        <span class=${hideLabel ? "unseen" : ""}>${label}</span>
      </label>
      ${(error || hint) &&
      html`<p class=${error ? "field-error" : "field-hint"} id=${`${id}-hint`}>${error || hint}</p>`}
    </div>
  `;
}

/**
 * @param {FieldProps & {
 *   value: number, onInput: (value: number) => void, min: number, max: number, step?: number,
 *   format?: (value: number) => string,
 * }} props
 */
export function Slider({ label, hideLabel, hint, error, class: more, value, onInput, format = String, ...rest }) {
  const id = useId();
  return html`
    <${Field} ...${{ id, label, hideLabel, hint, error, class: more }}>
      <span class="slider">
        <input
          ...${rest}
          ...${tied(id, { hint, error })}
          type="range"
          value=${value}
          aria-valuetext=${format(value)}
          onInput=${(/** @type {Event} */ event) => onInput(Number(valueOf(event)))}
        />
        <output class="slider-value" for=${id}>${format(value)}</output>
      </span>
    <//>
  `;
}

/** @param {FieldProps & { value: string, onInput: (value: string) => void }} props */
export function SearchField({ label, hideLabel = true, hint, error, class: more, value, onInput, ...rest }) {
  const id = useId();
  return html`
    <${Field} ...${{ id, label, hideLabel, hint, error, class: more }}>
      <span class="search">
        <${Icon} name="search" />
        <input
          placeholder=${label}
          ...${rest}
          ...${tied(id, { hint, error })}
          class="control"
          type="search"
          autocomplete="off"
          spellcheck=${false}
          value=${value}
          onInput=${(/** @type {Event} */ event) => onInput(valueOf(event))}
        />
      </span>
    <//>
  `;
}
