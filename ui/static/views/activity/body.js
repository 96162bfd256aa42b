import { html, useEffect, useMemo, useState } from "../../html.js";
import { CopyButton } from "../../components/copy.js";
import { Icon } from "../../components/icon.js";
import { Tabs, TabPanel } from "../../components/tabs.js";
import { kindOf, pictureType, pieces, textOfBytes } from "../../lib/capture-body.js";
import { imagesIn, turnsOf } from "../../lib/capture-conversation.js";
import { pretty, prettyPieces } from "../../lib/capture-json.js";
import { bytes as sized } from "../../lib/format.js";
import { chatOfDocument, chatOfStream } from "../../lib/sse-chat.js";
import { Answer, Pictures, Question } from "./conversation.js";
import { PIECE, Pieces } from "./pieces.js";

/** Bytes beyond which a body is not read as a conversation before somebody wants that: it takes a blink. */
const EAGER = 1 << 20;

const LABELS = Object.freeze({ chat: "Chat", pictures: "Pictures", pretty: "Pretty", raw: "Raw" });

/** @typedef {keyof typeof LABELS} Way */

/**
 * A body in the ways in which it can be read.
 *
 * @param {{
 *   side: "request" | "response", bytes: Uint8Array<ArrayBuffer> | null, contentType: string, size: number, isCut:
 *   boolean, why: string,
 * }} props  why: what is said where there is none
 */
export function Body({ side, bytes, contentType, size, isCut, why }) {
  const kind = kindOf(bytes, contentType);
  const body = useMemo(() => new Readings(side, bytes, kind), [bytes]);
  const [chosen, choose] = useState(/** @type {Way | null} */ (null));
  if (kind === "empty" || !bytes) return html`<p class="faint capture-none">${why}</p>`;
  const ways = body.ways();
  const way = chosen && ways.includes(chosen) ? chosen : ways[0];
  return html`
    ${isCut && html`<${Cut} kept=${bytes.length} size=${size} />`}
    ${
      way === undefined
        ? html`<${Media} ...${{ kind, bytes, contentType, side }} />`
        : html`
          <div class="capture-ways">
            <${Tabs}
              label=${`Ways to read the ${side}`}
              tabs=${ways.map((each) => ({ id: `${side}-${each}`, label: LABELS[each] }))}
              active=${`${side}-${way}`}
              onSelect=${(/** @type {string} */ id) => choose(/** @type {Way} */ (id.slice(side.length + 1)))}
            />
            <span class="faint small-text">${sized(bytes.length)}</span>
            <${CopyButton}
              label=${`Copy the ${side}'s body`}
              text=${() => (way === "pretty" ? pretty(body.text) : body.text)}
            />
          </div>
          <${TabPanel}
            id=${`${side}-${way}`}
            active=${`${side}-${way}`}
          ><${Reading} ...${{ side, way, body, size: bytes.length }} /><//>
        `
    }
  `;
}

/** @param {{side: "request" | "response", way: Way, body: Readings, size: number}} props */
function Reading({ side, way, body, size }) {
  const common = { all: sized(size), label: `Body of the ${side}` };
  if (way === "raw") return html`<${Pieces} key="raw" source=${body.raw} ...${common} />`;
  if (way === "pretty") return html`<${Pieces} key="pretty" source=${body.pretty} isJson ...${common} />`;
  if (way === "pictures") return html`<${Pictures} addresses=${body.pictures} />`;
  if (side === "request") return html`<${Question} turns=${body.turns} parameters=${body.parameters} />`;
  return body.chat
    ? html`<${Answer} chat=${body.chat} />`
    : html`<p class="faint capture-none">This is no conversation that is understood here.</p>`;
}

/** What a body can be read as; worked out when it is looked at. */
class Readings {
  /**
   * @param {"request" | "response"} side
   * @param {Uint8Array | null} bytes
   * @param {import("../../lib/capture-body.js").Kind} kind
   */
  constructor(side, bytes, kind) {
    this.side = side;
    this.kind = kind;
    this.isEager = (bytes?.length ?? 0) <= EAGER;
    this.text = bytes && (kind === "json" || kind === "stream" || kind === "text") ? textOfBytes(bytes) : "";
    this.raw = () => pieces(this.text, PIECE);
    this.pretty = () => prettyPieces(this.text, PIECE);
  }

  /** @returns {Way[]} The best first; none for what is no text. */
  ways() {
    if (this.kind === "stream") return !this.isEager ? ["raw", "chat"] : this.chat ? ["chat", "raw"] : ["raw"];
    if (this.kind === "text") return ["raw"];
    if (this.kind !== "json") return [];
    if (!this.isEager) return ["pretty", "raw", "chat", "pictures"];
    /** @type {Way[]} */
    const ways = ["pretty", "raw"];
    const isChat = this.side === "request" ? this.turns.length > 0 : this.chat;
    if (isChat) ways.unshift("chat");
    const inTurns = this.side === "request" ? this.turns.reduce((sum, { images }) => sum + images.length, 0) : 0;
    if (this.pictures.length > inTurns) ways.unshift("pictures");
    return ways;
  }

  get document() {
    return this.once("document", () => {
      try {
        return /** @type {unknown} */ (JSON.parse(this.text));
      } catch {
        return null;
      }
    });
  }

  get chat() {
    return this.once("chat", () => (this.kind === "stream" ? chatOfStream(this.text) : chatOfDocument(this.document)));
  }

  get turns() {
    return this.once("turns", () => turnsOf(this.document));
  }

  get pictures() {
    return this.once("pictures", () => imagesIn(this.document));
  }

  /** What was asked besides the conversation. @returns {[string, string][]} */
  get parameters() {
    const document = this.document;
    if (typeof document !== "object" || document === null) return [];
    return Object.entries(document).flatMap(([name, value]) => {
      if (Array.isArray(value)) return name === "tools" ? [[name, String(value.length)]] : [];
      const isShort = ["number", "boolean"].includes(typeof value) || (typeof value === "string" && value.length <= 60);
      return isShort && !["prompt", "input", "system", "instructions"].includes(name) ? [[name, String(value)]] : [];
    });
  }

  /**
   * @template T
   * @param {string} name
   * @param {() => T} make
   * @returns {T}
   */
  once(name, make) {
    const value = make();
    Object.defineProperty(this, name, { value });
    return value;
  }
}

/** What is no text. @param {{kind: string, bytes: Uint8Array<ArrayBuffer>, contentType: string, side: string}} props */
function Media({ kind, bytes, contentType, side }) {
  const [address, setAddress] = useState("");
  useEffect(() => {
    const type = kind === "image" ? pictureType(bytes) : kind === "audio" ? contentType : "application/octet-stream";
    const made = URL.createObjectURL(new Blob([bytes], { type }));
    setAddress(made);
    return () => URL.revokeObjectURL(made);
  }, [bytes]);
  if (!address) return null;
  if (kind === "image")
    return html`<div class="capture-image"><img src=${address} alt=${`Picture of the ${side}`} /></div>`;
  if (kind === "audio") return html`<audio class="capture-audio" controls src=${address}></audio>`;
  return html`
    <p class="capture-none faint">
      ${sized(bytes.length)} that are no text. <a href=${address} download=${`capture-${side}.bin`}>Save them</a>
    </p>
  `;
}

/** @param {{kept: number, size: number}} props */
function Cut({ kept, size }) {
  return html`
    <div class="notice busy capture-cut">
      <${Icon} name="info" />
      <p class="notice-words">
        This body is not kept whole: ${sized(kept)} of it are here${size > kept && `, of ${sized(size)}`}.
      </p>
    </div>
  `;
}
