/** @file How the page looks on this browser, what this Hostler is, and where to point clients. */

import { Button } from "../../components/button.js";
import { Card } from "../../components/card.js";
import { CopyButton } from "../../components/copy.js";
import { Dialog } from "../../components/dialog.js";
import { Switch, TextField } from "../../components/field.js";
import { PageHeader } from "../../components/page.js";
import { TabPanel, Tabs } from "../../components/tabs.js";
import { html, useState } from "../../html.js";
import { plain } from "../../lib/bidi.js";
import { examples } from "../../lib/examples.js";
import { absoluteTime, UNKNOWN } from "../../lib/format.js";
import { shortcutsOpen } from "../../shell/open.js";
import { mode, MODES, palette, PALETTES } from "../../state/appearance.js";
import { href } from "../../state/router.js";
import { clearStored, stored } from "../../state/settings.js";
import { connection, models, version } from "../../state/store.js";
import { DEFAULT_TITLE, LONGEST_TITLE, setTitle, title } from "../../state/title.js";

const capabilityTags = stored("capability-tags", true);

/** @type {Record<string, string>} */
const MODE_WORDS = { system: "As the system", light: "Light", dark: "Dark" };
/** @type {Record<string, string>} */
const PALETTE_WORDS = { mc: "Midnight Commander" };
/** @type {Record<string, string>} */
const STREAM_WORDS = {
  open: "connected: what is shown is how things stand",
  connecting: "connecting",
  lost: "not connected: what is shown is from before",
};

export default function Settings() {
  return html`
    <div class="settings">
      <${PageHeader} title="Settings" subtitle="Kept in this browser alone" />
      <div class="settings-grid">
        <${Appearance} />
        <div class="settings-column"><${Clients} /><${Build} /><${Remembered} /></div>
      </div>
    </div>
  `;
}

function Appearance() {
  const [typed, setTyped] = useState(/** @type {string | null} */ (null));
  return html`
    <${Card} title="Appearance">
      <div class="settings-fields">
        <${Choice}
          legend="Mode"
          name="mode"
          options=${MODES}
          words=${MODE_WORDS}
          value=${mode.value}
          onChoose=${(/** @type {typeof mode.value} */ value) => (mode.value = value)}
        />
        <${Choice}
          legend="Palette"
          name="palette"
          options=${PALETTES}
          words=${PALETTE_WORDS}
          value=${palette.value}
          swatches
          onChoose=${(/** @type {typeof palette.value} */ value) => (palette.value = value)}
        />
        <${TextField}
          label="Title"
          hint="What this Hostler is called here and in the browser's tabs"
          value=${typed ?? title.value}
          placeholder=${DEFAULT_TITLE}
          maxlength=${LONGEST_TITLE}
          onInput=${(/** @type {string} */ text) => (setTyped(text), setTitle(text))}
          onBlur=${() => setTyped(null)}
        />
        <${Switch}
          label="Show what models can do as tags"
          value=${capabilityTags.value}
          onInput=${(/** @type {boolean} */ value) => (capabilityTags.value = value)}
        />
      </div>
    <//>
  `;
}

/**
 * @param {{
 *   legend: string, name: string, options: readonly string[], words: Record<string, string>, value: string,
 *   swatches?: boolean, onChoose: (value: any) => void,
 * }} props
 */
function Choice({ legend, name, options, words, value, swatches, onChoose }) {
  return html`
    <fieldset class=${`settings-choice ${swatches ? "with-swatches" : ""}`}>
      <legend>${legend}</legend>
      <div class="settings-options">
        ${options.map((option) => html`
          <label key=${option} class="settings-option">
            <input
              type="radio"
              name=${name}
              value=${option}
              checked=${option === value}
              onChange=${() => onChoose(option)}
            />
            ${swatches && html`<span class=${`settings-swatch of-${option}`} aria-hidden="true"></span>`}
            <span>${words[option] ?? option[0].toUpperCase() + option.slice(1)}</span>
          </label>
        `)}
      </div>
    </fieldset>
  `;
}

function Clients() {
  const [shown, setShown] = useState("chat");
  const listed = models.value.filter((each) => !each.unlisted);
  const model = (listed.find((each) => each.state === "ready") ?? listed[0])?.id ?? "a-model";
  const all = examples(location.origin, model);
  return html`
    <${Card} title="Where to point clients">
      <p class="settings-line">
        <span class="soft">Base URL</span>
        <code class="settings-url">${location.origin}/v1</code>
        <${CopyButton} label="Copy the base URL" text=${`${location.origin}/v1`} />
      </p>
      <${Tabs}
        tabs=${all.map(({ id, label }) => ({ id, label }))}
        active=${shown}
        onSelect=${setShown}
        label="Kind of client"
      />
      ${all.map((example) => html`
        <${TabPanel} key=${example.id} id=${example.id} active=${shown} class="settings-example">
          <p class="soft"><code>${example.base}</code>: ${example.about}</p>
          <div class="settings-code">
            <pre tabindex="0" aria-label=${`Example for ${example.label}`}>${visible(example.code)}</pre>
            <${CopyButton} label="Copy the example" text=${example.code} />
          </div>
        <//>
      `)}
      <p class="soft">
        If <a href=${href("/configuration")}>the configuration</a> has keys (<code>apiKeys</code>), send one:
        ${" "}as <code>Authorization: Bearer …</code> or <code>x-api-key: …</code>.
      </p>
    <//>
  `;
}

/** Text of several lines with nothing hidden in any of them. @param {string} text */
const visible = (text) => text.split("\n").map(plain).join("\n");

function Build() {
  const built = version.value;
  const commit = built?.commit && built.commit !== "unknown" ? built.commit.slice(0, 10) : UNKNOWN;
  const date = built?.build_date && built.build_date !== "unknown" ? absoluteTime(built.build_date) : UNKNOWN;
  const facts = [
    ["Event stream", STREAM_WORDS[connection.value] ?? connection.value],
    ["Version", built?.version ?? UNKNOWN],
    ["Commit", commit],
    ["Built", date],
  ];
  return html`
    <${Card} title="This Hostler">
      <dl class="settings-facts">${facts.map(([label, value]) => html`<dt>${label}</dt><dd>${value}</dd>`)}</dl>
      <p class="settings-links">
        <a href="/metrics">Metrics for Prometheus</a>
        <a href="/v1/models">Models as JSON</a>
      </p>
    <//>
  `;
}

function Remembered() {
  const [asking, setAsking] = useState(false);
  return html`
    <${Card} title="Keyboard and memory">
      <div class="settings-fields">
        <div class="spread">
          <span class="soft">Go anywhere with <kbd>Ctrl</kbd> <kbd>K</kbd>; all shortcuts with <kbd>?</kbd></span>
          <${Button} icon="keyboard" onClick=${() => (shortcutsOpen.value = true)}>Shortcuts<//>
        </div>
        <div class="spread">
          <span class="soft">Filters, columns, choices, drafts: what this browser remembers of this page</span>
          <${Button} kind="danger" icon="trash" onClick=${() => setAsking(true)}>Forget<//>
        </div>
      </div>
      <${Dialog}
        open=${asking}
        onClose=${() => setAsking(false)}
        title="Forget all settings?"
        size="small"
        footer=${html`
          <${Button} onClick=${() => setAsking(false)}>Keep them<//>
          <${Button} kind="danger" onClick=${() => (clearStored(), location.reload())}>Forget them<//>
        `}
      >
        <p>Theme, title, filters, columns and drafts go back to what they were at first, in all tabs of this browser.
          Conversations of the playground stay, and nothing changes on the server.</p>
      <//>
    <//>
  `;
}
