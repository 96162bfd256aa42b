import { html, useEffect, useState } from "../../html.js";
import { wordsFor } from "../../state/api.js";
import { toast } from "../../state/toasts.js";
import { query, showCapture } from "./address.js";

const fetched = () => import("./capture.js");

/** The capture that the address names, if it names one. Its dialog is fetched with the first: most visits open none. */
export function CaptureDialog() {
  const named = query().get("capture");
  const [parts, setParts] = useState(/** @type {Awaited<ReturnType<typeof fetched>> | null} */ (null));
  useEffect(() => {
    if (named === null || parts) return;
    fetched().then(setParts, (error) => {
      showCapture(null);
      toast(`The capture could not be shown: ${wordsFor(error)}`, { tone: "bad" });
    });
  }, [named, parts]);
  return named === null || !parts ? null : html`<${parts.Shown} key=${named} id=${named} />`;
}
