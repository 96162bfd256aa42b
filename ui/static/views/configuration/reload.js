/** @file The last reload, and the next one. */

import { Button } from "../../components/button.js";
import { Card } from "../../components/card.js";
import { Dialog } from "../../components/dialog.js";
import { Tag } from "../../components/tag.js";
import { Time } from "../../components/time.js";
import { html, useEffect, useState } from "../../html.js";
import { plain } from "../../lib/bidi.js";
import { changesOf } from "../../lib/configuration.js";
import { plural } from "../../lib/format.js";
import { fetchConfiguration, readFiles } from "../../state/configuration.js";
import { toast } from "../../state/toasts.js";

/** @typedef {import("../../state/configuration.js").Configuration} Configuration */
/** @typedef {import("../../state/configuration.js").Answer} Answer */

/** @param {{told: Configuration}} props */
export function LastReload({ told }) {
  const [asking, setAsking] = useState(false);
  const { reload } = told;
  return html`
    <${Card}
      title="Last reload"
      class=${reload && !reload.ok ? "configuration-failed" : ""}
      actions=${html`<${Button} icon="refresh" onClick=${() => setAsking(true)}>Reload…<//>`}
    >
      <div class="configuration-status">
        ${!reload && html`
          <p>
            <${Tag} tone="neutral">none<//> The files were read <${Time} iso=${told.loaded_at} />, when Hostler started.
          </p>
        `}
        ${reload?.ok && html`
          <p><${Tag} tone="good">taken over<//> <${Time} iso=${reload.at} /></p>
          ${reload.plan && html`<${Changes} plan=${reload.plan} done=${true} />`}
        `}
        ${reload && !reload.ok && html`
          <p>
            <${Tag} tone="bad">failed<//> <${Time} iso=${reload.at} />. Nothing has changed: what runs is what was read
            ${" "}<${Time} iso=${told.loaded_at} />.
          </p>
          ${reload.problem
            ? html`<${ProblemText} problem=${reload.problem} />`
            : html`<p class="configuration-problem">${plain(reload.message)}</p>`}
        `}
        <p class="soft configuration-files">
          ${told.files.length ? "Read from " : "No file says it."}
          ${told.files.map((file, index) => html`${index > 0 && ", "}<code>${plain(file)}</code>`)}
        </p>
        ${told.warnings.length > 0 && html`
          <details>
            <summary>${plural(told.warnings.length, "warning")}</summary>
            <ul>${told.warnings.map((warning) => html`<li>${plain(warning)}</li>`)}</ul>
          </details>
        `}
      </div>
      <${ReloadDialog} open=${asking} onClose=${() => setAsking(false)} />
    <//>
  `;
}

/** @param {{open: boolean, onClose: () => void}} props */
function ReloadDialog({ open, onClose }) {
  const [answer, setAnswer] = useState(/** @type {Answer | null} */ (null));
  const [busy, setBusy] = useState(false);
  const read = async () => {
    setAnswer(null);
    setAnswer(await readFiles(true));
  };
  useEffect(() => {
    if (open) void read();
  }, [open]);
  const reload = async () => {
    setBusy(true);
    const done = await readFiles(false);
    setBusy(false);
    await fetchConfiguration();
    if ("plan" in done) {
      toast("The configuration was reloaded.", { tone: "good" });
      onClose();
    } else setAnswer(done);
  };
  const isUsable = answer !== null && "plan" in answer;
  return html`
    <${Dialog}
      open=${open}
      onClose=${onClose}
      title="Reload the configuration"
      footer=${html`
        <${Button} onClick=${onClose}>Close<//>
        ${answer && !isUsable && html`<${Button} kind="primary" icon="refresh" onClick=${read}>Look again<//>`}
        ${(isUsable || !answer) && html`
          <${Button} kind="primary" icon="refresh" busy=${busy || !answer} onClick=${reload}>Reload now<//>
        `}
      `}
    >
      <div aria-live="polite">
        ${!answer && html`<p class="soft">Reading the files, to see what would change…</p>`}
        ${answer && "plan" in answer && html`<${Changes} plan=${answer.plan} done=${false} />`}
        ${answer && "problem" in answer && html`
          <p>The files cannot be used as they are. Nothing has changed, and nothing would.</p>
          <${ProblemText} problem=${answer.problem} />
        `}
        ${answer && "failure" in answer && html`<p class="configuration-problem">${answer.failure}</p>`}
      </div>
    <//>
  `;
}

/** @param {{problem: import("../../state/configuration.js").Problem}} props */
function ProblemText({ problem }) {
  const place = problem.line === null ? problem.source : `${problem.source}:${problem.line}`;
  return html`
    <div class="configuration-problem" role="group" aria-label="What is wrong">
      ${place && html`
        <p><code>${plain(place)}</code>${problem.path && html` at <code>${plain(problem.path)}</code>`}</p>
      `}
      <p><strong>${plain(problem.message)}</strong></p>
      ${problem.remedy && html`<p>What to do: ${plain(problem.remedy)}</p>`}
    </div>
  `;
}

/** @param {{plan: import("../../lib/configuration.js").Plan, done: boolean}} props */
function Changes({ plan, done }) {
  const changes = changesOf(plan);
  if (!changes.length) {
    return html`<p>${done ? "Nothing had changed." : "The files say what already runs: nothing would change."}</p>`;
  }
  return html`
    ${!done && html`<p>Reloading would change this:</p>`}
    <ul class="configuration-changes" role="list">
      ${changes.map((change) => html`
        <li>
          <${Tag} tone=${change.tone}>${change.kind}<//> <strong>${change.name}</strong>
          ${change.detail && html` <span class="soft">${change.detail}</span>`}
        </li>
      `)}
    </ul>
    ${plan.unchanged.length > 0 && html`
      <p class="soft">
        ${plural(plan.unchanged.length, "model")} ${plan.unchanged.length === 1 ? "stays" : "stay"} as before, with
        ${" "}process and requests.
      </p>
    `}
  `;
}
