/** @file The logs: Hostler's own lines, what the model servers print, or what one of them prints. */

import { LogPane } from "../../components/log-pane.js";
import { Empty } from "../../components/empty.js";
import { Select } from "../../components/field.js";
import { PageHeader } from "../../components/page.js";
import { Split } from "../../components/split.js";
import { TabPanel, Tabs } from "../../components/tabs.js";
import { html } from "../../html.js";
import { displayName } from "../../lib/names.js";
import { plain } from "../../lib/bidi.js";
import { useQueryParam } from "../../state/router.js";
import { stored } from "../../state/settings.js";
import { models } from "../../state/store.js";

/** @typedef {import("../../types.js").Model} Model */

const TABS = [
  { id: "both", label: "Both" },
  { id: "proxy", label: "Proxy" },
  { id: "upstream", label: "Upstream" },
  { id: "model", label: "One model" },
];

/** @param {unknown} value @returns {value is string} */
const isText = (value) => typeof value === "string";
const lastTab = stored("logs.tab", "both", (value) => TABS.some((tab) => tab.id === value));
const lastModel = stored("logs.model", "", isText);

const Proxy = () => html`<${LogPane} source="proxy" storageKey="logs.proxy" title="Proxy" label="Proxy log" />`;
const Upstream = () =>
  html`<${LogPane} source="upstream" storageKey="logs.upstream" title="Upstream" label="Upstream log" />`;

export default function Logs() {
  const [tab, setTab] = useQueryParam("tab", "");
  const active = TABS.some((each) => each.id === tab) ? tab : lastTab.value;
  const select = (/** @type {string} */ id) => {
    lastTab.value = id;
    setTab(id);
  };
  return html`
    <div class="logs-page fill">
      <${PageHeader} title="Logs" />
      <${Tabs} tabs=${TABS} active=${active} onSelect=${select} label="Which log" />
      <${TabPanel} id="both" active=${active} class="logs-panel">
        <${Split}
          storageKey="logs.ratio"
          direction="auto"
          label="Room for the proxy log"
          first=${html`<${Proxy} />`}
          second=${html`<${Upstream} />`}
        />
      <//>
      <${TabPanel} id="proxy" active=${active} class="logs-panel"><${Proxy} /><//>
      <${TabPanel} id="upstream" active=${active} class="logs-panel"><${Upstream} /><//>
      <${TabPanel} id="model" active=${active} class="logs-panel"><${OneModel} /><//>
    </div>
  `;
}

function OneModel() {
  const [named, setNamed] = useQueryParam("model", "");
  const local = models.value.filter((model) => !model.peerID);
  const wanted = named || lastModel.value;
  const chosen = local.find((model) => model.id === wanted) ?? local[0];
  if (!chosen) {
    return html`
      <${Empty} title="No models of this machine" icon="logs">Models that run elsewhere write their logs there.<//>
    `;
  }
  const choose = (/** @type {string} */ id) => {
    lastModel.value = id;
    setNamed(id);
  };
  const options = local.map((model) => ({ value: model.id, label: optionLabel(model) }));
  return html`
    <${Select} class="logs-model" label="Model" value=${chosen.id} onInput=${choose} options=${options} />
    <${LogPane}
      key=${chosen.id}
      path=${`/logs/stream/${chosen.id.split("/").map(encodeURIComponent).join("/")}`}
      storageKey="logs.model"
      label=${`Log of ${plain(chosen.id)}`}
    />
  `;
}

/** @param {Model} model */
function optionLabel(model) {
  const name = displayName(model);
  const id = plain(model.id);
  return `${name === id ? id : `${name} (${id})`}${model.state === "stopped" ? "" : ` · ${model.state}`}`;
}
