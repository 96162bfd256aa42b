import { html, useState } from "../../html.js";
import { Button } from "../../components/button.js";
import { copyText } from "../../components/copy.js";
import { Icon } from "../../components/icon.js";
import { del, get, wordsFor } from "../../state/api.js";

/** @typedef {import("../../types.js").Capture} Capture */

/** What of a capture the playground can take over. */
const REPLAYED = /^\/v1?\/(chat\/completions|messages|responses)$/;

/** @param {{capture: Capture, onDeleted: () => void}} props */
export function CaptureActions({ capture, onDeleted }) {
  const [isAsked, setAsked] = useState(false);
  const [isBusy, setBusy] = useState(false);
  // Said here and not by a toast, which would stand behind the dialog.
  const [news, setNews] = useState("");
  const tried = async (/** @type {string} */ what, /** @type {() => Promise<string | void>} */ action) => {
    try {
      setNews((await action()) ?? "");
    } catch (error) {
      setNews(`${what}: ${wordsFor(error)}`);
    }
  };
  const isWhole = capture.req_body !== null && !capture.req_truncated;
  const why = isWhole ? "The playground has no place for this kind of request" : "The request is not kept whole";
  const canReplay = isWhole && REPLAYED.test(capture.req_path);
  const remove = async () => {
    setBusy(true);
    await tried("The capture could not be deleted", async () => {
      await del(`/api/captures/${capture.id}`);
      onDeleted();
    });
    setBusy(false);
  };
  const copy = () =>
    tried("The command could not be copied", async () => {
      const text = /** @type {string} */ (
        await get(`/api/captures/${capture.id}/curl`, { headers: { Accept: "text/plain" } })
      );
      if (!(await copyText(text.trimEnd()))) throw new Error("this browser lets no page copy here");
      return "The curl command is copied.";
    });
  const ask = () =>
    tried("The request could not be replayed", async () => {
      const { replay } = await import("../playground/replay.js");
      if (!replay(capture)) return "The playground cannot take over this request.";
    });
  return html`
    ${
      isAsked
        ? html`
          <span class="soft">Delete it for good?</span>
          <${Button} kind="danger" icon="trash" busy=${isBusy} onClick=${remove}>Delete<//>
          <${Button} kind="quiet" onClick=${() => setAsked(false)}>Keep<//>
        `
        : html`<${Button} kind="quiet" icon="trash" onClick=${() => setAsked(true)}>Delete…<//>`
    }
    <span class="grow soft small-text" role="status">${news}</span>
    <a
      class="button plain"
      href=${`/api/captures/${capture.id}/har`}
      download=${`capture-${capture.id}.har`}
    ><${Icon} name="download" />HAR</a>
    <${Button} icon="copy" onClick=${copy}>Copy as curl<//>
    <${Button}
      kind="primary"
      icon="play"
      disabled=${!canReplay}
      title=${canReplay ? "Ask the same again in the playground" : why}
      onClick=${ask}
    >
      Replay
    <//>
  `;
}
