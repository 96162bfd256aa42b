import { html } from "../../html.js";
import { PageHeader } from "../../components/page.js";
import { InFlight } from "./in-flight.js";
import { ActivityTable } from "./table.js";
import { Totals } from "./totals.js";

/** What is asked of the models, now and before. */
export default function Activity() {
  return html`
    <${PageHeader} title="Activity" />
    <div class="activity stack">
      <${Totals} />
      <${InFlight} />
      <${ActivityTable} storageKey="activity" />
    </div>
  `;
}
