/** @file One model: what it is doing, its requests, its log, and how it is configured. */

import { html, useEffect } from "../../html.js";
import { Button } from "../../components/button.js";
import { CopyButton } from "../../components/copy.js";
import { Empty } from "../../components/empty.js";
import { Link } from "../../components/link.js";
import { LogPane } from "../../components/log-pane.js";
import { PageHeader } from "../../components/page.js";
import { TabPanel, Tabs } from "../../components/tabs.js";
import { StateDot, Tag, stateLook } from "../../components/tag.js";
import { plain } from "../../lib/bidi.js";
import { clockTime, plural } from "../../lib/format.js";
import { displayName, modelNamed, natural } from "../../lib/names.js";
import { segment } from "../../lib/query.js";
import { useQueryParam } from "../../state/router.js";
import { asOf, connection, known, models } from "../../state/store.js";
import { stylesheet } from "../../stylesheet.js";
import { ActivityTable } from "../activity/table.js";
import { ModelButton } from "./actions.js";
import { Details } from "./details.js";
import { MemoryWords, ServerLink, StateWords, Users } from "./parts.js";
import { followResidency } from "./residency.js";
import { askForSample, memories, standings } from "./standing.js";

/** @typedef {import("../../types.js").Model} Model */

void stylesheet("models");

const TABS = [
  { id: "activity", label: "Activity" },
  { id: "logs", label: "Logs" },
  { id: "details", label: "Details" },
];

/** @param {{segments: string[]}} props */
export default function ModelPage({ segments }) {
  const asked = segments[1] ?? "";
  const model = modelNamed(models.value, asked);
  useEffect(followResidency, []);
  useEffect(() => void askForSample(), []);
  if (!model) return html`<div class="models"><${PageHeader} title=${plain(asked)} /><${Missing}
    name=${asked} /></div>`;
  return html`<${Page} key=${model.id} model=${model} />`;
}

/** @param {{name: string}} props */
function Missing({ name }) {
  if (!known.value) return html`<${Empty} title="Asking how the models stand…" />`;
  const start = name.toLowerCase().slice(0, 3);
  const alike = models.value.filter((model) => model.id.toLowerCase().includes(start));
  const near = alike.sort((a, b) => natural(a.id, b.id)).slice(0, 3);
  return html`
    <${Empty} icon="models" title=${`There is no model “${plain(name)}”`} action=${html`<${Link} to="/models"
      class="button plain">All models<//>`}>
      It is neither an id nor an alias of the configuration in force. A reload may have removed it.
      ${near.length > 0 && html`<p>Perhaps ${near.map((model, index) => html`${index > 0 && ", "}<${Link}
        to=${`/models/${segment(model.id)}`}>${plain(model.id)}<//>`)}?</p>`}
    <//>
  `;
}

/** @param {{model: Model}} props */
function Page({ model }) {
  const isOurs = model.peerID === "";
  const tabs = isOurs ? TABS : TABS.slice(0, 1);
  const [wanted, setTab] = useQueryParam("tab", "activity");
  const tab = tabs.some((each) => each.id === wanted) ? wanted : "activity";
  const isOld = connection.value !== "open";
  return html`
    <div class=${`models model ${tab === "logs" ? "fill" : ""} ${isOld ? "models-old" : ""}`}>
      <${Head} model=${model} />
      <${Tabs} tabs=${tabs} active=${tab} onSelect=${setTab} label=${`Of ${plain(displayName(model))}`} />
      <${TabPanel} id="activity" active=${tab}><${ActivityTable} model=${model.id} storageKey="model-detail" /><//>
      <${TabPanel} id="logs" active=${tab} class="model-logs">
        <${LogPane} path=${`/logs/stream/${segment(model.id)}`} storageKey="model-log"
          label=${`Log of ${plain(displayName(model))}`} />
      <//>
      <${TabPanel} id="details" active=${tab}><${Details} model=${model} /><//>
    </div>
  `;
}

/** @param {{model: Model}} props */
function Head({ model }) {
  const name = plain(displayName(model));
  const standing = standings.value.get(model.id);
  const isOurs = model.peerID === "" && standing !== undefined;
  const actions = isOurs
    ? html`<${ServerLink} model=${model} words /><${ModelButton} model=${model} standing=${standing} words />`
    : html`<${Tag} tone="info">of the peer ${plain(model.peerID)}<//>`;
  const subtitle = html`
    <span class="model-ids">
      <code>${plain(model.id)}</code><${CopyButton} text=${model.id} label="Copy the id" />
      ${(model.aliases ?? []).map((alias) => html`<code key=${alias} class="faint"
        title="alias">${plain(alias)}</code>`)}
      ${model.unlisted && html`<${Tag} title="Is not in the list that clients are given">unlisted<//>`}
      ${asOf.value !== null && html`<b class="models-asof">as of ${clockTime(asOf.value)}</b>`}
    </span>
  `;
  return html`
    <${PageHeader} title=${name} subtitle=${subtitle} actions=${actions} />
    <p class="unseen" aria-live="polite">${standing ? stateLook(standing.state).words : ""}</p>
    <div class="model-standing">
      <${StateDot} state=${standing?.state ?? ""} />
      ${isOurs ? html`<${StateWords} model=${model} standing=${standing} />` : html`<span
        class="soft">how it stands there is not known here</span>`}
      ${isOurs && standing.waiting > 0 && html`<span
        class="models-waiting"
      >${plural(standing.waiting, "request")} ${standing.waiting === 1 ? "waits" : "wait"}</span>`}
      <${MemoryWords} memory=${memories.value.get(model.id)} />
    </div>
    ${model.description && html`<p class="model-about prose">${plain(model.description)}</p>`}
    ${isOurs && standing.requests.length > 0 && html`<div class="model-users"><${Users}
      requests=${standing.requests} /></div>`}
  `;
}
