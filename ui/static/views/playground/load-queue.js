/** Whom a load test asks, in which order: models may be in it more than once, and are moved by hand or by key. */

import { html, useRef, useState } from "../../html.js";
import { Button, IconButton } from "../../components/button.js";
import { Icon } from "../../components/icon.js";
import { ModelPicker } from "../../components/model-picker.js";
import { plain } from "../../lib/bidi.js";
import { moved } from "../../lib/load-test.js";
import { hueOf } from "./load-hue.js";
import { MOST_REQUESTS, queue } from "./load-run.js";

export function LoadQueue() {
  const [dragged, setDragged] = useState(-1);
  const [news, setNews] = useState("");
  const list = useRef(/** @type {HTMLOListElement | null} */ (null));
  const all = queue.value;
  const isFull = all.length >= MOST_REQUESTS;
  /** @param {number} index */
  const focus = (index) => {
    const item = list.current?.children[index]?.querySelector(".load-item");
    /** @type {HTMLElement | null | undefined} */ (item)?.focus();
  };
  /**
   * @param {number} from
   * @param {number} to
   */
  const move = (from, to) => {
    if (to < 0 || to >= all.length || from === to) return;
    queue.value = moved(all, from, to);
    setNews(`${plain(all[from])} is number ${to + 1} of ${all.length}`);
  };
  /**
   * @param {number} from
   * @param {number} step
   */
  const moveByKey = (from, step) => {
    move(from, from + step);
    // The rows stay where they are and change their words, so the focus has to follow the model.
    focus(from + step);
  };
  /**
   * @param {KeyboardEvent} event
   * @param {number} index
   */
  const pressed = (event, index) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step) {
      event.preventDefault();
      if (event.altKey) moveByKey(index, step);
      else focus(index + step);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      remove(index);
    }
  };
  /** @param {number} index */
  const remove = (index) => {
    queue.value = all.filter((_, place) => place !== index);
    setNews(`${plain(all[index])} is removed`);
  };
  /** @param {readonly string[]} names */
  const add = (names) => (queue.value = [...all, ...names].slice(0, MOST_REQUESTS));
  return html`
    <fieldset class="tool-group">
      <legend>Requests${all.length > 0 && html` <span class="faint">(${all.length})</span>`}</legend>
      <${ModelPicker}
        label="Add a request to"
        hideLabel
        placeholder="Add a model …"
        value=""
        disabled=${isFull}
        onInput=${(/** @type {string} */ name) => add([name])}
      />
      ${all.length > 0 &&
      html`
        <ol class="load-queue" ref=${list}>
          ${all.map(
            (name, index) => html`
              <li
                key=${index}
                class=${`load-hue-${hueOf(all, name)} ${dragged === index ? "dragged" : ""}`}
                draggable
                onDragStart=${() => setDragged(index)}
                onDragEnd=${() => setDragged(-1)}
                onDragOver=${(/** @type {DragEvent} */ event) => dragged >= 0 && event.preventDefault()}
                onDragEnter=${() => {
                  if (dragged < 0 || dragged === index) return;
                  move(dragged, index);
                  setDragged(index);
                }}
              >
                <${Icon} name="grip" class="grip" />
                <span
                  class="load-item"
                  tabindex="0"
                  role="button"
                  aria-label=${`${plain(name)}, number ${index + 1}`}
                  aria-keyshortcuts="Alt+ArrowUp Alt+ArrowDown Delete"
                  aria-describedby="load-queue-keys"
                  onKeyDown=${(/** @type {KeyboardEvent} */ event) => pressed(event, index)}
                >
                  <span class="load-chip" aria-hidden="true"></span><bdi class="clip">${plain(name)}</bdi>
                </span>
                <${IconButton}
                  icon="chevron-up"
                  label=${`Move ${plain(name)} up`}
                  disabled=${index === 0}
                  onClick=${() => move(index, index - 1)}
                />
                <${IconButton}
                  icon="chevron-down"
                  label=${`Move ${plain(name)} down`}
                  disabled=${index === all.length - 1}
                  onClick=${() => move(index, index + 1)}
                />
                <${IconButton}
                  icon="plus"
                  label=${`One more to ${plain(name)}`}
                  disabled=${isFull}
                  onClick=${() => (queue.value = all.toSpliced(index + 1, 0, name))}
                />
                <${IconButton} icon="close" label=${`Remove ${plain(name)}`} onClick=${() => remove(index)} />
              </li>
            `,
          )}
        </ol>
        <div class="row">
          <${Button} kind="quiet" icon="plus" disabled=${isFull} onClick=${() => add(all)}>Double them<//>
          <${Button} kind="quiet" icon="trash" onClick=${() => (queue.value = [])}>Remove all<//>
        </div>
      `}
      <p class="field-hint" id="load-queue-keys">
        ${all.length
          ? "Drag to reorder, or Alt with the arrow keys. Models that take turns swap the most."
          : "Add models, each as often as you like."}
      </p>
      <p class="unseen" aria-live="polite">${news}</p>
    </fieldset>
  `;
}
