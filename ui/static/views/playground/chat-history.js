/** The list of conversations: open one, delete one, delete all. */

import { html, useState } from "../../html.js";
import { Button, IconButton } from "../../components/button.js";
import { Dialog } from "../../components/dialog.js";
import { plain } from "../../lib/bidi.js";
import { absoluteTime, plural, relativeTime } from "../../lib/format.js";
import { now } from "../../state/clock.js";
import { toast } from "../../state/toasts.js";
import { begin, busy, conversation, forget, forgetAll, open } from "./chat-state.js";
import { history, isFleeting, removeAll } from "./history.js";

/** @param {{ onOpened: () => void }} props onOpened: something has been chosen */
export function ChatHistory({ onOpened }) {
  const [isAsking, setAsking] = useState(false);
  const nowMs = now(30_000).value;
  /** @param {string} id */
  const choose = async (id) => {
    if (await open(id)) onOpened();
    else toast("This conversation has been deleted.", { tone: "bad" });
  };
  /**
   * @param {string} id
   * @param {string} title
   */
  const erase = async (id, title) => {
    const restore = await forget(id);
    toast(`Deleted “${plain(title)}”.`, { action: { label: "Undo", run: restore } });
  };
  const clear = async () => {
    setAsking(false);
    forgetAll();
    await removeAll();
  };
  return html`
    <${Button} class="chat-new" icon="plus" onClick=${() => (begin(), onOpened())}>New chat<//>
    ${
      history.value.length === 0 &&
      html`
        <p class="faint small-text chat-none">Conversations are kept here, in this browser only.</p>
      `
    }
    <ul class="chat-list">
      ${history.value.map(
        ({ id, title, updatedAt }) => html`
          <li key=${id} class="chat-list-entry" data-current=${id === conversation.value.id ? "" : undefined}>
            <button
              type="button"
              aria-current=${id === conversation.value.id ? "true" : undefined}
              onClick=${() => choose(id)}
            >
              <span class="clip" dir="auto">${plain(title)}</span>
              <span class="faint small-text" title=${absoluteTime(updatedAt)}>
                ${
                  busy.value.has(id)
                    ? html`
                        <span class="chat-pulse" aria-hidden="true"></span>
                        being answered
                      `
                    : relativeTime(updatedAt, nowMs)
                }
              </span>
            </button>
            <${IconButton} icon="trash" label=${`Delete “${plain(title)}”`} onClick=${() => erase(id, title)} />
          </li>
        `,
      )}
    </ul>
    ${
      isFleeting.value &&
      html`
        <p class="notice busy small-text">
          This browser stores nothing here: conversations last until the page is closed.
        </p>
      `
    }
    ${
      history.value.length > 1 &&
      html`
        <${Button} kind="quiet" icon="trash" onClick=${() => setAsking(true)}>Delete all<//>
      `
    }
    <${Dialog}
      open=${isAsking}
      onClose=${() => setAsking(false)}
      title="Delete all conversations?"
      size="small"
      footer=${html`
        <${Button} onClick=${() => setAsking(false)}>Keep them<//>
        <${Button} kind="danger" onClick=${clear}>Delete ${plural(history.value.length, "conversation")}<//>
      `}
    >
      <p>They are kept in this browser only, so nobody can bring them back.</p>
    <//>
  `;
}
