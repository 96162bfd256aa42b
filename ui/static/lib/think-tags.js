/**
 * Thoughts that a server has left in the answer's text, between `<think>` and `</think>`. PURE.
 *
 * Only at the very beginning of an answer: later on, somebody talks about the tags.
 */

const OPENING = "<think>";
const CLOSING = "</think>";

/** @typedef {{ content: string, reasoning: string }} Said */

export class ThinkTags {
  /** @type {"unknown" | "thinking" | "over"} */
  #state = "unknown";
  #held = "";
  #bare = false;

  /**
   * Returns what the next piece of text adds to the answer and to the thoughts.
   *
   * @param {string} piece
   * @returns {Said}
   */
  push(piece) {
    if (this.#state === "over") return { content: this.#trimmed(piece), reasoning: "" };
    this.#held += piece;
    if (this.#state === "unknown") {
      const start = this.#held.trimStart();
      if (!start.startsWith(OPENING)) {
        return OPENING.startsWith(start)
          ? { content: "", reasoning: "" }
          : { content: this.#giveBack(), reasoning: "" };
      }
      this.#state = "thinking";
      this.#held = start.slice(OPENING.length).trimStart();
    }
    const end = this.#held.indexOf(CLOSING);
    if (end < 0) {
      const kept = partial(this.#held);
      const reasoning = this.#held.slice(0, this.#held.length - kept);
      this.#held = this.#held.slice(this.#held.length - kept);
      return { content: "", reasoning };
    }
    const reasoning = this.#held.slice(0, end);
    this.#held = this.#held.slice(end + CLOSING.length);
    this.#bare = true;
    return { content: this.#trimmed(this.#giveBack()), reasoning };
  }

  /**
   * Returns what was held back, at the end of the answer.
   *
   * @returns {Said}
   */
  end() {
    const isThought = this.#state === "thinking";
    const held = this.#giveBack();
    return isThought ? { content: "", reasoning: held } : { content: held, reasoning: "" };
  }

  /**
   * Returns *text* without the empty lines between the thoughts and the answer.
   *
   * @param {string} text
   */
  #trimmed(text) {
    if (!this.#bare) return text;
    const rest = text.trimStart();
    this.#bare = rest === "";
    return rest;
  }

  #giveBack() {
    const held = this.#held;
    this.#held = "";
    this.#state = "over";
    return held;
  }
}

/**
 * Returns how many characters at the end of *text* may be the beginning of the closing tag.
 *
 * @param {string} text
 */
function partial(text) {
  for (let length = Math.min(CLOSING.length - 1, text.length); length > 0; length--) {
    if (CLOSING.startsWith(text.slice(-length))) return length;
  }
  return 0;
}
