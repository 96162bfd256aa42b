/**
 * What Hostler says in an OpenAI stream while a model is loaded, told from what the model thinks. PURE.
 *
 * With `sendLoadingState` the stream opens with thoughts between two lines of `━━━━━` (app/proxy/loading_text.py);
 * llama-swap, as a peer, sends the same, five characters at a time.
 */

export const MARKER = "━━━━━";

/** Separates one stream's loading text from its thoughts. */
export class LoadingText {
  /** @type {"unknown" | "loading" | "closing" | "over"} */
  #state = "unknown";
  #held = "";
  #text = "";

  /**
   * The newest line that says something, without the dots that only show that time passes; empty: nothing is loaded.
   */
  get status() {
    if (this.#state !== "loading") return "";
    const lines = this.#text.split("\n").map((line) => line.replace(/[\s.]+$/, "").trim());
    return (lines.findLast((line) => line !== "") ?? "").replace(/^llama-swap /, "");
  }

  /** Everything said so far, without the markers. */
  get text() {
    return this.#text;
  }

  /**
   * Takes a piece of the stream's thoughts, and returns what of it is the model's own.
   *
   * @param {string} piece
   * @returns {string}
   */
  push(piece) {
    if (this.#state === "over") return piece;
    this.#held += piece;
    if (this.#state === "unknown") {
      if (!this.#held.startsWith(MARKER)) {
        // Half a marker may become a whole one.
        return MARKER.startsWith(this.#held) ? "" : this.#giveBack();
      }
      this.#state = "loading";
      this.#held = this.#held.slice(MARKER.length);
    }
    if (this.#state === "loading") {
      const end = this.#held.indexOf(MARKER);
      // A part of the closing marker stays until it is whole.
      const said = end < 0 ? this.#held.replace(/━+$/, "") : this.#held.slice(0, end);
      this.#text += said;
      if (end < 0) {
        this.#held = this.#held.slice(said.length);
        return "";
      }
      this.#state = "closing";
      this.#held = this.#held.slice(end + MARKER.length);
    }
    this.#held = this.#held.trimStart();
    return this.#held ? this.#giveBack() : "";
  }

  /** Ends it: returns what was held back, which turned out to be the model's own. */
  end() {
    if (this.#state === "unknown") return this.#giveBack();
    this.#state = "over";
    return "";
  }

  #giveBack() {
    const held = this.#held;
    this.#held = "";
    this.#state = "over";
    return held;
  }
}
