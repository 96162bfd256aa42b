/** The same question to two models, side by side: what swapping is for, and what it costs. */

import { html, useEffect, useRef } from "../../html.js";
import { Button, IconButton } from "../../components/button.js";
import { Empty } from "../../components/empty.js";
import { Select } from "../../components/field.js";
import { ModelPicker } from "../../components/model-picker.js";
import { StateText } from "../../components/tag.js";
import { plain } from "../../lib/bidi.js";
import { talkers } from "../../lib/chat-models.js";
import { lengths, STAGES, stretches } from "../../lib/compare-lanes.js";
import { duration } from "../../lib/format.js";
import { displayName, modelNamed } from "../../lib/names.js";
import { monotonic } from "../../state/clock.js";
import { stored } from "../../state/settings.js";
import { connection, known, models } from "../../state/store.js";
import { Answer } from "./answer.js";
import { changedCount, ChatSettings } from "./chat-settings.js";
import { again, askedAt, clear, draft, draftPictures, isBusy, mode, send, sides, stop } from "./compare-state.js";
import { Composer } from "./composer.js";
import { useFollow } from "./follow.js";
import { Pictures } from "./pictures.js";
import { SidePanel } from "./side-panel.js";

/** @typedef {import("./compare-state.js").Side} Side */

const isSettingsOpen = stored("playground.compare-settings-open", false);

export default function Compare() {
  const turns = useRef(/** @type {HTMLDivElement | null} */ (null));
  const { isFollowing, follow } = useFollow(turns, "compare");
  useEffect(() => {
    if (!known.value) return;
    const ids = talkers(models.value);
    for (const side of sides) {
      const other = sides.find((each) => each !== side);
      side.model.value ||= ids.find((id) => id !== other?.model.value) ?? "";
    }
  }, [known.value]);
  const isEmpty = sides.every((side) => side.turns.value.length === 0);
  const isChosen = sides.every((side) => side.model.value);
  return html`
    <div class="chat compare">
      <div class="chat-main">
        <div class="chat-bar">
          <${Select}
            label="Ask them"
            hideLabel
            value=${mode.value}
            onInput=${(/** @type {string} */ value) => (mode.value = value)}
            options=${[
              { value: "once", label: "Both at once" },
              { value: "turns", label: "One after the other" },
            ]}
          />
          <span class="grow"></span>
          <${Button} class="chat-bar-new" icon="plus" disabled=${isEmpty} onClick=${clear} title="Begin anew">
            <span>Begin anew</span>
          <//>
          <${IconButton}
            icon="settings"
            class=${changedCount.value ? "chat-changed" : ""}
            label=${changedCount.value ? `Settings (${changedCount.value} changed)` : "Settings"}
            pressed=${isSettingsOpen.value}
            onClick=${() => (isSettingsOpen.value = !isSettingsOpen.value)}
          />
        </div>
        <${Lanes} />
        <div class="chat-scroll">
          <div class="compare-columns" ref=${turns}>
            ${sides.map(
              (side) => html`
                <${Column} key=${side.id} side=${side} />
              `,
            )}
          </div>
          ${
            isEmpty &&
            html`
              <${Empty} icon="playground" title="Ask two models the same">
                Where there is room for one of them only, you see the swap.
              <//>
            `
          }
        </div>
        <div class="chat-write">
          ${
            !isFollowing &&
            html`
              <${Button} class="chat-latest" icon="chevron-down" onClick=${follow}>To the latest<//>
            `
          }
          <${Composer}
            label="Message to both"
            text=${draft}
            pictures=${draftPictures}
            isBusy=${isBusy.value}
            onSend=${() => (send(), follow())}
            onStop=${stop}
            refusal=${isChosen ? undefined : "Choose two models first."}
          />
        </div>
      </div>
      <${SidePanel} isOpen=${isSettingsOpen} label="Settings" side="end"><${ChatSettings} /><//>
    </div>
  `;
}

/** @param {{ side: Side }} props */
function Column({ side }) {
  const asking = side.asking.value;
  return html`
    <section class="compare-column" aria-label=${side.label}>
      <header class="compare-head">
        <${ModelPicker}
          label=${side.label}
          hideLabel
          value=${side.model.value}
          disabled=${isBusy.value}
          onInput=${(/** @type {string} */ id) => (side.model.value = id)}
        />
        <${ModelState} name=${side.model.value} />
      </header>
      ${[
        ...side.turns.value.map((turn) => {
          if (turn.role === "user")
            return html`
              <${Asked} key=${turn.id} turn=${turn} />
            `;
          const retry = () => again(side, turn.id);
          const actions = html`
            <${IconButton} icon="refresh" label="Ask again" disabled=${isBusy.value} onClick=${retry} />
          `;
          return html`
            <${Answer} key=${turn.id} answer=${turn.answer} actions=${actions} onRetry=${retry} />
          `;
        }),
        // With the key that it will have as a turn: it stays the same element.
        asking &&
          html`
            <${Answer} key=${asking.requestId} asking=${asking} />
          `,
      ]}
      ${
        side.isNext.value &&
        html`
          <p class="soft compare-next">Asked when the other has answered.</p>
        `
      }
      ${
        !isBusy.value &&
        side.turns.value.at(-1)?.role === "user" &&
        html`
          <p class="chat-unanswered">
            <span class="soft">Not asked.</span>
            <${Button} icon="send" onClick=${() => again(side)}>Ask it<//>
          </p>
        `
      }
    </section>
  `;
}

/** @param {{ turn: import("../../lib/chat-conversation.js").UserTurn }} props */
function Asked({ turn }) {
  return html`
    <article class="chat-asked" aria-label="You">
      <${Pictures} pictures=${turn.pictures} />
      ${
        turn.text &&
        html`
          <div class="chat-asked-text" dir="auto">${turn.text}</div>
        `
      }
    </article>
  `;
}

/** @param {{ name: string }} props */
function ModelState({ name }) {
  const model = modelNamed(models.value, name);
  if (!model || connection.value !== "open") return null;
  return html`
    <span class="compare-state" role="status"><${StateText} state=${model.state} /></span>
  `;
}

/** What both did with the last question, on one scale of time. */
function Lanes() {
  const isOver = !isBusy.value;
  const nowMs = isOver ? 0 : monotonic(100).value - askedAt.value;
  if (askedAt.value < 0 || sides.every((side) => side.marks.value.length === 0)) return null;
  const ends = sides.map((side) => (side.endMs.value < 0 ? nowMs : side.endMs.value));
  const whole = Math.max(...ends, 1);
  const share = (/** @type {number} */ ms) => `${(ms / whole) * 100}%`;
  return html`
    <div class="compare-lanes" role="group" aria-label="What they did, and for how long">
      ${sides.map((side, index) => {
        const all = stretches(side.marks.value, ends[index]);
        const words = lengths(all).map(({ stage, ms }) => `${STAGES[stage]} ${duration(ms)}`);
        return html`
          <div class="compare-lane" key=${side.id}>
            <span class="compare-lane-name clip">
              <bdi>${plain(nameOf(side.model.value))}</bdi>
            </span>
            <span class="compare-lane-bar" aria-hidden="true">
              ${all.map(
                ({ stage, fromMs, toMs }) => html`
                  <span
                    key=${`${stage}-${fromMs}`}
                    class=${`compare-stretch ${stage}`}
                    title=${`${STAGES[stage]} ${duration(toMs - fromMs)}`}
                    style=${{ insetInlineStart: share(fromMs), inlineSize: share(toMs - fromMs) }}
                  ></span>
                `,
              )}
            </span>
            <span class="compare-lane-words small-text soft">${words.join(" · ")}</span>
          </div>
        `;
      })}
    </div>
  `;
}

/**
 * What a model is called; an alias is called as it was asked for.
 *
 * @param {string} name
 */
function nameOf(name) {
  return displayName(models.value.find(({ id }) => id === name) ?? { id: name });
}
