import { html, useEffect, useMemo, useRef, useState } from "../../html.js";
import { Button, IconButton } from "../../components/button.js";
import { Select, TextField } from "../../components/field.js";
import {
  NO_FILTERS,
  activeCount,
  fromLocalInput,
  localInput,
  problems,
  withFilters,
} from "../../lib/activity-query.js";
import { plain } from "../../lib/bidi.js";
import { displayName } from "../../lib/names.js";
import { models } from "../../state/store.js";
import { query, setQuery } from "./address.js";

/** @typedef {import("../../lib/activity-query.js").Filters} Filters */

/** From the last key until the server is asked. */
const PAUSE_MS = 300;

const CLASSES = Object.freeze({ "2xx": "answered", "4xx": "refused", "5xx": "failed" });

/**
 * What is typed is in force a moment later, and in the address, as soon as all of it makes sense.
 *
 * @param {{filters: Filters, model?: string}} props  model: the only one, which is no filter then
 */
export function FilterDrawer({ filters, model }) {
  const [draft, setDraft] = useState(filters);
  const address = JSON.stringify(filters);
  const own = useRef(address);
  useEffect(() => {
    // Not what was typed here: a link, or "Clear".
    if (own.current !== address) setDraft(filters);
    own.current = address;
  }, [address]);

  const wrong = problems(draft);
  useEffect(() => {
    const text = JSON.stringify(draft);
    if (text === own.current || Object.keys(problems(draft)).length) return undefined;
    const timer = setTimeout(() => {
      own.current = text;
      setQuery(withFilters(query(), draft));
    }, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [draft]);

  const change = (/** @type {Partial<Filters>} */ some) => setDraft({ ...draft, ...some });
  /** @param {"path" | "error" | "session" | "key" | "from" | "to"} name */
  const text = (name) => ({
    value: draft[name],
    error: name === "from" || name === "to" ? wrong[name] : undefined,
    onInput: (/** @type {string} */ value) => change({ [name]: value.trim() }),
    autocomplete: "off",
    spellcheck: false,
  });
  return html`
    <form
      class="activity-filters"
      aria-label="Filters"
      onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}
    >
      ${model === undefined && html`
        <${Models}
          chosen=${draft.models}
          onChange=${(/** @type {string[]} */ chosen) => change({ models: chosen })}
        />`}
      <${Statuses}
        chosen=${draft.statuses}
        error=${wrong.status}
        onChange=${(/** @type {string[]} */ statuses) => change({ statuses })}
      />
      <${TextField} label="Path has" placeholder="/v1/chat" ...${text("path")} />
      <${TextField} label="Error has" placeholder="any words of it" ...${text("error")} />
      <${TextField} label="Session" ...${text("session")} />
      <${TextField} label="Key" placeholder="its fingerprint" ...${text("key")} />
      <${TextField} label="ID from" inputmode="numeric" ...${text("from")} />
      <${TextField} label="ID to" inputmode="numeric" ...${text("to")} />
      <${Moment}
        label="Ended from"
        value=${draft.start}
        error=${wrong.start}
        onChange=${(/** @type {string} */ start) => change({ start })}
      />
      <${Moment}
        label="Ended until"
        value=${draft.end}
        error=${wrong.end}
        onChange=${(/** @type {string} */ end) => change({ end })}
      />
      <${Button}
        class="activity-clear"
        disabled=${activeCount(draft) === 0}
        onClick=${() => setDraft({ ...NO_FILTERS })}
      >Clear<//>
    </form>
  `;
}

/** @param {{label: string, value: string, error?: string, onChange: (moment: string) => void}} props */
function Moment({ label, value, error, onChange }) {
  return html`
    <${TextField}
      label=${label}
      type="datetime-local"
      step="1"
      value=${localInput(value)}
      error=${error}
      onInput=${(/** @type {string} */ text) => onChange(fromLocalInput(text))}
    />
  `;
}

/** @param {{chosen: string[], onChange: (chosen: string[]) => void}} props */
function Models({ chosen, onChange }) {
  const others = models.value.filter(({ id }) => !chosen.includes(id));
  const options = [
    { value: "", label: chosen.length ? "Add a model…" : "All models" },
    ...others.map((model) => ({ value: model.id, label: plain(displayName(model)) })),
  ];
  return html`
    <div class="activity-models">
      <${Select}
        label="Model"
        value=""
        options=${options}
        onInput=${(/** @type {string} */ id) => id && onChange([...chosen, id])}
      />
      ${
        chosen.length > 0 &&
        html`
        <ul>
          ${chosen.map(
            (id) => html`
              <li key=${id}>
                <span class="clip">${plain(id)}</span>
                <${IconButton}
                  icon="close"
                  label=${`Without ${plain(id)}`}
                  onClick=${() => onChange(chosen.filter((each) => each !== id))}
                />
              </li>
            `,
          )}
        </ul>
      `
      }
    </div>
  `;
}

/** @param {{chosen: string[], error?: string, onChange: (chosen: string[]) => void}} props */
function Statuses({ chosen, error, onChange }) {
  const others = chosen.filter((status) => !(status in CLASSES));
  const [typed, setTyped] = useState(others.join(" "));
  const codes = useMemo(() => typed.split(/[\s,;]+/).filter(Boolean), [typed]);
  useEffect(() => {
    if (others.join(" ") !== codes.join(" ")) setTyped(others.join(" "));
  }, [others.join(" ")]);
  const toggle = (/** @type {string} */ status) =>
    onChange(chosen.includes(status) ? chosen.filter((each) => each !== status) : [...chosen, status]);
  return html`
    <fieldset class="activity-statuses">
      <legend class="field-label">Status</legend>
      <div>
        ${Object.entries(CLASSES).map(
          ([status, words]) => html`
            <button
              key=${status}
              type="button"
              class="activity-chip"
              aria-pressed=${String(chosen.includes(status))}
              title=${words}
              onClick=${() => toggle(status)}
            >
              ${status}
            </button>
          `,
        )}
        <${TextField}
          label="Other codes"
          hideLabel
          placeholder="404 499"
          value=${typed}
          error=${error}
          onInput=${(/** @type {string} */ value) => {
            setTyped(value);
            const given = value.split(/[\s,;]+/).filter(Boolean);
            onChange([...new Set([...chosen.filter((status) => status in CLASSES), ...given])]);
          }}
        />
      </div>
    </fieldset>
  `;
}
