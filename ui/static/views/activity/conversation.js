import { html, useState } from "../../html.js";
import { Icon } from "../../components/icon.js";
import { Tag } from "../../components/tag.js";
import { shownText } from "../../lib/capture-body.js";
import { plain } from "../../lib/bidi.js";
import { count } from "../../lib/format.js";

/** @typedef {import("../../lib/capture-conversation.js").Turn} Turn */
/** @typedef {import("../../lib/sse-chat.js").Chat} Chat */

/** Characters of one text that are shown at first. */
const SHOWN = 20_000;

/** What was asked. @param {{turns: Turn[], parameters: [string, string][]}} props */
export function Question({ turns, parameters }) {
  return html`
    <div class="capture-chat">
      ${
        parameters.length > 0 &&
        html`
        <p class="capture-parameters">
          ${parameters.map(([name, value]) => html`<${Tag} key=${name}>${plain(name)} ${plain(value)}<//>`)}
        </p>
      `
      }
      ${turns.map(
        (turn, index) => html`
          <section key=${index} class=${`capture-turn ${turn.role === "user" ? "user" : ""}`}>
            <h4>${plain(turn.role)}</h4>
            <${Reasoning} text=${turn.reasoning} />
            ${turn.text && html`<${Text} text=${turn.text} />`}
            <${Pictures} addresses=${turn.images} />
            <${Tools} calls=${turn.tools} />
          </section>
        `,
      )}
    </div>
  `;
}

/** What was answered. @param {{chat: Chat}} props */
export function Answer({ chat }) {
  return html`
    <div class="capture-chat">
      ${chat.choices.map(
        (said, index) => html`
          <section key=${index} class="capture-turn">
            <h4>
              ${chat.choices.length > 1 ? `assistant, answer ${index + 1}` : "assistant"}
              ${said.stop && html`<${Tag} title="Why it stopped">${plain(said.stop)}<//>`}
            </h4>
            <${Reasoning} text=${said.reasoning} />
            ${said.content && html`<${Text} text=${said.content} />`}
            <${Tools} calls=${said.tools} />
            ${!said.content && !said.reasoning && !said.tools.length && html`<p class="faint">Nothing was said.</p>`}
          </section>
        `,
      )}
      ${
        chat.error &&
        html`
        <div class="notice bad">
          <${Icon} name="warning" />
          <p class="notice-words">${shownText(chat.error)}</p>
        </div>
      `
      }
    </div>
  `;
}

/** @param {{text: string}} props */
function Reasoning({ text }) {
  if (!text) return null;
  return html`
    <details class="capture-reasoning" open>
      <summary>Reasoning <span class="faint">${count(text.length)} characters</span></summary>
      <${Text} text=${text} />
    </details>
  `;
}

/** @param {{text: string}} props */
function Text({ text }) {
  const [isWhole, setWhole] = useState(text.length <= SHOWN);
  return html`
    <p class="capture-said" dir="auto">${shownText(isWhole ? text : text.slice(0, SHOWN))}</p>
    ${
      !isWhole &&
      html`
        <button
          type="button"
          class="link"
          onClick=${() => setWhole(true)}
        >… show all ${count(text.length)} characters</button>`
    }
  `;
}

/** @param {{calls: {name: string, arguments: string}[]}} props */
function Tools({ calls }) {
  return html`
    ${calls.map(
      (call, index) => html`
        <div key=${index} class="capture-tool">
          <span class="faint">calls</span> <b class="mono">${plain(call.name)}</b>
          ${call.arguments && html`<pre>${shownText(call.arguments)}</pre>`}
        </div>
      `,
    )}
  `;
}

/** Pictures, small until they are pressed. @param {{addresses: string[]}} props */
export function Pictures({ addresses }) {
  const [large, setLarge] = useState(-1);
  if (!addresses.length) return null;
  return html`
    <div class="capture-pictures">
      ${addresses.map(
        (address, index) => html`
          <button
            key=${index}
            type="button"
            class=${index === large ? "large" : ""}
            aria-expanded=${String(index === large)}
            aria-label=${`Picture ${index + 1}`}
            onClick=${() => setLarge(index === large ? -1 : index)}
          >
            <img src=${address} alt="" loading="lazy" />
          </button>
        `,
      )}
    </div>
  `;
}
