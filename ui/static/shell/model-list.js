import { html } from "../html.js";
import { Link } from "../components/link.js";
import { StateDot } from "../components/tag.js";
import { plain } from "../lib/bidi.js";
import { plural } from "../lib/format.js";
import { byPlace, displayName, modelNamed } from "../lib/names.js";
import { modelPath } from "../lib/query.js";
import { route } from "../state/router.js";
import { stored } from "../state/settings.js";
import { connection, known, models, queue } from "../state/store.js";

/** @typedef {import("../types.js").Model} Model */

/** Whether the models are listed under "Models". */
export const modelsOpen = stored("models-menu-open", true);

/** The models below their entry in the sidebar, those of each peer apart. Unlisted ones are for their page alone. */
export function ModelList() {
  const { local, peers } = byPlace(models.value.filter((model) => !model.unlisted));
  const [page, name] = route.value.segments;
  const here = page === "models" && name ? modelNamed(models.value, name)?.id : undefined;
  if (!known.value) return null;
  return html`
    <div class=${`nav-models ${connection.value === "open" ? "" : "stale"}`}>
      ${local.length > 0 &&
      html`
        <ul aria-label="Models">
          ${local.map((model) => html`<${Entry} key=${model.id} ...${{ model, here }} />`)}
        </ul>
      `}
      ${[...peers].map(
        ([peer, theirs]) => html`
          <h2 class="nav-peer" id=${`nav-peer-${peer}`}>${plain(peer)}</h2>
          <ul aria-labelledby=${`nav-peer-${peer}`}>
            ${theirs.map((model) => html`<${Entry} key=${model.id} ...${{ model, here }} />`)}
          </ul>
        `,
      )}
    </div>
  `;
}

/** @param {{ model: Model, here: string | undefined }} props */
function Entry({ model, here }) {
  const name = plain(displayName(model));
  const current = model.id === here ? "page" : undefined;
  const waiting = queue.value.models[model.id]?.waiting ?? 0;
  return html`
    <li>
      <${Link} to=${modelPath(model.id)} class="nav-model" title=${name} aria-current=${current}>
        <${StateDot} state=${model.state} /><span class="clip">${name}</span>
        ${waiting > 0 &&
        html`<span class="nav-waiting" title=${`${plural(waiting, "request")} waiting`}>${waiting}</span>`}
      <//>
    </li>
  `;
}
