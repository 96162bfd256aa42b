/** The chat: one conversation with one model at a time, those of before at its side. */

import { html, useEffect, useLayoutEffect, useRef, useState } from "../../html.js";
import { Button, IconButton } from "../../components/button.js";
import { CopyButton } from "../../components/copy.js";
import { Empty } from "../../components/empty.js";
import { ModelPicker, offered } from "../../components/model-picker.js";
import { talkers } from "../../lib/chat-models.js";
import { firstChoice } from "../../lib/picker.js";
import { setQueryParam, route } from "../../state/router.js";
import { known, models } from "../../state/store.js";
import { stored } from "../../state/settings.js";
import { Answer } from "./answer.js";
import { ChatHistory } from "./chat-history.js";
import { changedCount, ChatSettings } from "./chat-settings.js";
import {
  asking,
  begin,
  conversation,
  draft,
  draftPictures,
  edit,
  model,
  regenerate,
  send,
  stop,
} from "./chat-state.js";
import { Composer } from "./composer.js";
import { useFollow } from "./follow.js";
import { Pictures } from "./pictures.js";
import { SidePanel } from "./side-panel.js";

/** @typedef {import("../../lib/chat-conversation.js").UserTurn} UserTurn */
/** @typedef {import("../../lib/chat-conversation.js").AssistantTurn} AssistantTurn */

const isHistoryOpen = stored("playground.chat-history-open", false);
const isSettingsOpen = stored("playground.chat-settings-open", false);

export default function Chat() {
  const asked = route.value.query.model;
  useEffect(() => {
    // A link may name the model to talk to.
    if (asked) {
      model.value = asked;
      setQueryParam("model", null);
    }
  }, [asked]);
  useEffect(() => {
    if (!model.value && known.value) model.value = talkers(models.value)[0] ?? firstChoice(offered());
  }, [known.value]);
  const turns = useRef(/** @type {HTMLDivElement | null} */ (null));
  const { id, turns: said } = conversation.value;
  const { isFollowing, follow } = useFollow(turns, id);
  const current = asking.value;
  const isEmpty = said.length === 0 && !current;
  const sendNow = () => {
    send();
    follow();
  };
  return html`
    <div class="chat">
      <${SidePanel} isOpen=${isHistoryOpen} label="Conversations" side="start">
        <${ChatHistory} onOpened=${() => closeOnPhone(isHistoryOpen)} />
      <//>
      <div class="chat-main">
        <div class="chat-bar">
          <${IconButton}
            icon="clock"
            label="Conversations"
            pressed=${isHistoryOpen.value}
            onClick=${() => (isHistoryOpen.value = !isHistoryOpen.value)}
          />
          <${ModelPicker}
            label="Model"
            hideLabel
            value=${model.value}
            onInput=${(/** @type {string} */ value) => (model.value = value)}
          />
          <span class="grow"></span>
          <${Button} class="chat-bar-new" icon="plus" disabled=${said.length === 0} onClick=${begin} title="New chat">
            <span>New chat</span>
          <//>
          <${IconButton}
            icon="settings"
            class=${changedCount.value ? "chat-changed" : ""}
            label=${changedCount.value ? `Settings (${changedCount.value} changed)` : "Settings"}
            pressed=${isSettingsOpen.value}
            onClick=${() => (isSettingsOpen.value = !isSettingsOpen.value)}
          />
        </div>
        <div class="chat-scroll">
          <div class="chat-turns" ref=${turns}>
            ${
              isEmpty &&
              html`
                <${Empty} icon="playground" title="Ask a model something">
                  It is loaded when it is needed; while you wait, you are told why.
                <//>
              `
            }
            ${[
              ...said.map((turn, index) =>
                turn.role === "user"
                  ? html`
                      <${Asked} key=${turn.id} turn=${turn} />
                    `
                  : html`
                      <${Answered} key=${turn.id} turn=${turn} isLast=${index === said.length - 1} />
                    `,
              ),
              // With the key that it will have as a turn: it stays the same element.
              current &&
                html`
                  <${Answered} key=${current.requestId} asking=${current} />
                `,
            ]}
            ${
              !current &&
              said.at(-1)?.role === "user" &&
              html`
                <p class="chat-unanswered">
                  <span class="soft">Not answered.</span>
                  <${Button} icon="send" disabled=${!model.value} onClick=${() => regenerate()}>Ask it<//>
                </p>
              `
            }
          </div>
        </div>
        <div class="chat-write">
          <p class="unseen" role="status">
            ${current ? "" : said.at(-1)?.role === "assistant" ? "The answer is complete." : ""}
          </p>
          ${
            !isFollowing &&
            html`
              <${Button} class="chat-latest" icon="chevron-down" onClick=${follow}>To the latest<//>
            `
          }
          <${Composer}
            label="Message"
            text=${draft}
            pictures=${draftPictures}
            isBusy=${current !== null}
            onSend=${sendNow}
            onStop=${stop}
            refusal=${model.value ? undefined : "Choose a model first."}
          />
        </div>
      </div>
      <${SidePanel} isOpen=${isSettingsOpen} label="Settings" side="end"><${ChatSettings} /><//>
    </div>
  `;
}

/** @param {{ turn?: AssistantTurn, asking?: import("./asking.js").Asking, isLast?: boolean }} props */
function Answered({ turn, asking: coming, isLast }) {
  const again = () => regenerate(turn?.id);
  const actions = html`
    <${IconButton}
      icon="refresh"
      label=${isLast ? "Ask again" : "Ask again from here, and forget what came after"}
      onClick=${again}
    />
  `;
  return html`
    <${Answer} asking=${coming} answer=${turn?.answer} actions=${turn && actions} onRetry=${turn && again} />
  `;
}

/** @param {{ turn: UserTurn }} props */
function Asked({ turn }) {
  const [text, setText] = useState(/** @type {string | null} */ (null));
  const area = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const isEditing = text !== null;
  useLayoutEffect(() => area.current?.focus(), [isEditing]);
  const save = () => {
    if (!text?.trim() && !turn.pictures.length) return;
    setText(null);
    edit(turn.id, (text ?? "").trim());
  };
  /** @param {KeyboardEvent} event */
  const pressed = (event) => {
    if (event.key === "Escape") setText(null);
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    save();
  };
  return html`
    <article class=${`chat-asked ${isEditing ? "editing" : ""}`} aria-label="You">
      <${Pictures} pictures=${turn.pictures} />
      ${
        isEditing
          ? html`
              <textarea
                ref=${area}
                class="control chat-edit"
                aria-label="Your message"
                dir="auto"
                value=${text}
                onInput=${(/** @type {InputEvent & { currentTarget: HTMLTextAreaElement }} */ { currentTarget }) =>
                  setText(currentTarget.value)}
                onKeyDown=${pressed}
              ></textarea>
              <div class="row chat-edit-row">
                <span class="faint small-text grow">What came after is forgotten.</span>
                <${Button} onClick=${() => setText(null)}>Cancel<//>
                <${Button} kind="primary" icon="send" onClick=${save}>Send<//>
              </div>
            `
          : html`
              <div class="chat-asked-row">
                <div class="chat-actions">
                  <${CopyButton} text=${turn.text} label="Copy your message" />
                  <${IconButton} icon="edit" label="Edit your message" onClick=${() => setText(turn.text)} />
                </div>
                ${
                  turn.text &&
                  html`
                    <div class="chat-asked-text" dir="auto">${turn.text}</div>
                  `
                }
              </div>
            `
      }
    </article>
  `;
}

/** @param {import("../../html.js").Signal<boolean>} isOpen */
function closeOnPhone(isOpen) {
  if (matchMedia("(max-width: 60rem)").matches) isOpen.value = false;
}
