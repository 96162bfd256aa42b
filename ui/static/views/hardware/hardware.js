/** @file What the machine is and has, as it was found when Hostler started. */

import { Button } from "../../components/button.js";
import { Card } from "../../components/card.js";
import { CopyButton } from "../../components/copy.js";
import { Empty } from "../../components/empty.js";
import { PageHeader } from "../../components/page.js";
import { TabPanel, Tabs } from "../../components/tabs.js";
import { Time } from "../../components/time.js";
import { html, signal, useEffect } from "../../html.js";
import { groups, NOT_KNOWN, summaryText } from "../../lib/hardware.js";
import { get, wordsFor } from "../../state/api.js";
import { useQueryParam } from "../../state/router.js";
import { connections } from "../../state/store.js";

/** @typedef {import("../../types.js").Hardware} Found */

const TABS = [{ id: "overview", label: "Overview" }, { id: "text", label: "Text" }];

const found = signal(/** @type {Found | null} */ (null));
const failure = signal("");
const busy = signal(false);

async function look() {
  if (busy.value) return;
  busy.value = true;
  try {
    found.value = await get("/api/hardware");
    failure.value = "";
  } catch (error) {
    failure.value = wordsFor(error);
  } finally {
    busy.value = false;
  }
}

export default function Hardware() {
  const [tab, setTab] = useQueryParam("tab", "overview");
  // It is looked at once in the life of a Hostler: anew for another one.
  useEffect(() => void look(), [connections.value]);
  const seen = found.value;
  return html`
    <div class="hardware">
      <${PageHeader}
        title="Hardware"
        subtitle=${seen ? html`As it was found <${Time} iso=${seen.captured_at} />` : "What the machine is and has"}
      />
      ${failure.value && html`
        <div class="notice bad row" role="alert">
          <span>${failure.value}</span>
          <${Button} kind="quiet" icon="refresh" busy=${busy.value} onClick=${look}>Try again<//>
        </div>
      `}
      ${!seen && !failure.value && html`<p class="faint" role="status">The machine is being looked at…</p>`}
      ${seen && html`
        <${Tabs} tabs=${TABS} active=${tab} onSelect=${setTab} label="How it is shown" />
        <${TabPanel} id="overview" active=${tab} class="hardware-panel"><${Overview} seen=${seen} /><//>
        <${TabPanel} id="text" active=${tab} class="hardware-panel">
          <${Card} title="Summary" actions=${html`<${CopyButton} words text=${() => summaryText(seen)} />`}>
            <pre class="hardware-text" tabindex="0" aria-label="The machine as text">${summaryText(seen)}</pre>
          <//>
        <//>
      `}
    </div>
  `;
}

/** @param {{seen: Found}} props */
function Overview({ seen }) {
  const [system, processors, ...accelerators] = groups(seen);
  return html`
    <div class="hardware-grid">
      ${[system, processors].map((group) => group && html`<${Facts} key=${group.title} group=${group} />`)}
    </div>
    <h2 class="hardware-part">Accelerators</h2>
    ${accelerators.length
      ? html`
          <div class="hardware-grid">
            ${accelerators.map((group) => html`<${Facts} key=${group.title} group=${group} />`)}
          </div>
        `
      : html`
          <${Card}>
            <${Empty} title="No accelerator was found" icon="hardware">
              Models run on the processors. If there is a card, its driver may be missing here, or a container may not
              be allowed to see it: <code>hostler monitor</code> says which sources were tried.
            <//>
          <//>
        `}
  `;
}

/** @param {{group: import("../../lib/hardware.js").Group}} props */
function Facts({ group }) {
  return html`
    <${Card} title=${group.title}>
      <dl class="hardware-facts">
        ${group.facts.map((fact) => html`
          <dt>${fact.label}</dt>
          <dd class=${fact.value === NOT_KNOWN ? "faint" : ""}>${fact.value}</dd>
        `)}
      </dl>
    <//>
  `;
}
