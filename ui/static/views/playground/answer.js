/** An answer, as it comes or as it was: thoughts, text, tools, errors, and what it took. */

import { html, useState } from "../../html.js";
import { Button, IconButton } from "../../components/button.js";
import { CopyButton } from "../../components/copy.js";
import { Icon } from "../../components/icon.js";
import { Link, ModelLink } from "../../components/link.js";
import { Markdown } from "../../components/markdown.js";
import { plain } from "../../lib/bidi.js";
import { wordsOf } from "../../lib/chat-errors.js";
import { generationSpeed } from "../../lib/chat-figures.js";
import { modelPath } from "../../lib/query.js";
import { count, duration, plural, speed } from "../../lib/format.js";
import { Waiting } from "./waiting.js";

/** @typedef {import("../../lib/chat-conversation.js").Answered} Answered */
/** @typedef {import("./asking.js").Asking} Asking */

/**
 * An answer. One that has come is shown by the same elements as while it came, so that nothing jumps, and what a
 * reader has opened or selected stays so.
 *
 * @param {{
 *   asking?: Asking | null, answer?: Answered, actions?: import("../../html.js").Children, onRetry?: () => void,
 * }} props  asking: while it is coming; answer: once it has come
 */
export function Answer({ asking, answer, actions, onRetry }) {
  const [isRaw, setRaw] = useState(false);
  const isComing = Boolean(asking?.isRunning);
  const { model, content, reasoning, reasoningMs, toolCalls } =
    isComing && asking ? coming(asking) : kept(asking, answer);
  const isWaiting = isComing && asking?.state.value === "waiting";
  return html`
    <article class="chat-answer" aria-busy=${isComing && !isWaiting ? "true" : undefined}>
      <${Author} model=${model} />
      ${
        isWaiting &&
        html`
          <${Waiting} asking=${asking} />
        `
      }
      <${Thoughts} text=${reasoning} ms=${reasoningMs} isThinking=${isComing && !content} />
      ${
        content &&
        html`
          <div class="chat-content">
            ${
              isRaw && !isComing
                ? html`
                    <pre class="chat-raw" dir="auto">${content}</pre>
                  `
                : html`
                    <${Markdown} text=${content} streaming=${isComing} />
                  `
            }
          </div>
        `
      }
      <${ToolCalls} calls=${toolCalls} />
      ${
        isComing
          ? !isWaiting &&
            html`
              <p class="chat-figures chat-coming">
                <span class="chat-pulse" aria-hidden="true"></span>
                ${content ? "answering" : "thinking"} …
              </p>
            `
          : html`
              <${Ending}
                answer=${kept(asking, answer)}
                actions=${actions}
                onRetry=${onRetry}
                isRaw=${isRaw}
                onRaw=${() => setRaw(!isRaw)}
              />
            `
      }
    </article>
  `;
}

/** @param {Asking} asking */
function coming({ model, content, reasoning, reasoningMs, toolCalls }) {
  return {
    model,
    content: content.value,
    reasoning: reasoning.value,
    reasoningMs: reasoningMs.value,
    toolCalls: toolCalls.value,
  };
}

/**
 * @param {Asking | null | undefined} asking
 * @param {Answered | undefined} answer
 */
function kept(asking, answer) {
  return answer ?? /** @type {Asking} */ (asking).answered();
}

/**
 * What stands below an answer that has come.
 *
 * @param {{
 *   answer: Answered, actions: import("../../html.js").Children, onRetry: (() => void) | undefined, isRaw: boolean,
 *   onRaw: () => void,
 * }} props
 */
function Ending({ answer, actions, onRetry, isRaw, onRaw }) {
  const { content, reasoning, toolCalls, state } = answer;
  const isEmpty = !content && !reasoning && !toolCalls.length;
  return html`
    ${
      isEmpty &&
      state === "done" &&
      html`
        <p class="soft">The model has said nothing.</p>
      `
    }
    ${
      state === "failed" &&
      html`
        <${Failure} answer=${answer} onRetry=${onRetry} />
      `
    }
    <footer class="chat-foot">
      <${Figures} answer=${answer} />
      <div class="chat-actions">
        ${
          content &&
          html`
            <${CopyButton} text=${content} label="Copy the answer" />
          `
        }
        ${
          content &&
          html`
            <${IconButton}
              icon="logs"
              label=${isRaw ? "Show it formatted" : "Show the raw text"}
              pressed=${isRaw}
              onClick=${onRaw}
            />
          `
        }
        ${actions}
      </div>
    </footer>
  `;
}

/** @param {{ model: string }} props */
function Author({ model }) {
  return html`
    <p class="chat-author">
      <${Icon} name="robot" />
      ${
        model
          ? html`
              <bdi><${ModelLink} id=${model} /></bdi>
            `
          : "captured answer"
      }
    </p>
  `;
}

/** @param {{ text: string, ms: number, isThinking?: boolean }} props */
function Thoughts({ text, ms, isThinking }) {
  if (!text) return null;
  return html`
    <details class="chat-thoughts">
      <summary>
        <span>${isThinking ? "Thinking" : "Thoughts"}</span>
        <span class="faint num">${plural(text.length, "character")} · ${duration(ms)}</span>
      </summary>
      <div class="chat-thoughts-text" dir="auto">${text}</div>
    </details>
  `;
}

/** @param {{ calls: readonly import("../../lib/answer.js").ToolCall[] }} props */
function ToolCalls({ calls }) {
  return calls.map(
    (call) => html`
      <figure class="chat-tool" key=${call.id}>
        <figcaption>
          calls the tool${" "}
          <code>${plain(call.name)}</code>
        </figcaption>
        <pre>${call.arguments}</pre>
      </figure>
    `,
  );
}

/** @param {{ answer: Answered, onRetry?: () => void }} props */
function Failure({ answer, onRetry }) {
  const isBroken = answer.status < 0;
  const words = isBroken
    ? { title: answer.content ? "The answer broke off" : "There is no answer", advice: "", hasLog: false }
    : wordsOf(answer.status);
  return html`
    <div class="notice bad chat-failure" role="alert">
      <div class="grow">
        <p><strong>${words.title}</strong></p>
        ${
          answer.error &&
          html`
            <p class="chat-error-text">${answer.error.split("\n").map(plain).join("\n")}</p>
          `
        }
        ${
          words.hasLog &&
          html`
            <p class="small-text">
              <${Link} to=${modelPath(answer.model)}>Its log<//>
              ${" "}says more.
            </p>
          `
        }
        ${
          words.advice &&
          html`
            <p class="soft small-text">${words.advice}</p>
          `
        }
      </div>
      ${
        onRetry &&
        html`
          <${Button} icon="refresh" onClick=${onRetry}>Try again<//>
        `
      }
    </div>
  `;
}

/** @param {{ answer: Answered }} props */
function Figures({ answer }) {
  const { measured, state, stopReason } = answer;
  const { usage } = measured;
  const { perSecond, isMeasured } = generationSpeed(measured);
  /** @type {[boolean, string, string][]} */
  const figures = [
    [state === "stopped", "stopped by you", "You have stopped the answer."],
    [
      CUT_SHORT.has(stopReason),
      "cut at the limit of tokens",
      "The answer has reached its largest number of tokens: the settings say how many.",
    ],
    [usage.output >= 0, plural(usage.output, "token"), promptTitle(usage)],
    [
      perSecond > 0,
      speed(perSecond),
      isMeasured ? "Speed of generating, measured by this page" : "Speed of generating, by the model's server",
    ],
    [
      measured.firstMs >= 0,
      `first word after ${duration(measured.firstMs)}`,
      "From sending the question to the first word, waiting included",
    ],
    [measured.queuedMs > 0, `queued ${duration(measured.queuedMs)}`, "It waited so long in Hostler's queue."],
    [
      measured.swapMs > 0,
      `swap ${duration(measured.swapMs)}`,
      "It took so long to stop other models and to load this one.",
    ],
    [
      measured.totalMs >= 0,
      `${duration(measured.totalMs)} in all`,
      "From sending the question to the end of the answer",
    ],
  ];
  return html`
    <ul class="chat-figures" aria-label="What it took">
      ${figures
        .filter(([isShown]) => isShown)
        .map(
          ([, text, title]) => html`
            <li key=${title} title=${title}>${text}</li>
          `,
        )}
    </ul>
  `;
}

/** Why a model has stopped though it had more to say, in each API's words. */
const CUT_SHORT = new Set(["length", "max_tokens", "max_output_tokens"]);

/** @param {import("../../lib/answer.js").Usage} usage */
function promptTitle({ input, cached }) {
  const known = input >= 0 ? `, for a prompt of ${count(input)}` : "";
  return `Tokens of the answer${known}${cached > 0 ? `, ${count(cached)} of them from the cache` : ""}`;
}
