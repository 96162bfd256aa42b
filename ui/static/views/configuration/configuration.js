/**
 * @file The configuration as it runs: read-only, with what is not the default marked. `?model=` opens a model's part.
 */

import { Button } from "../../components/button.js";
import { Card } from "../../components/card.js";
import { CopyButton } from "../../components/copy.js";
import { Empty } from "../../components/empty.js";
import { SearchField, Switch } from "../../components/field.js";
import { PageHeader } from "../../components/page.js";
import { html, useEffect, useMemo, useRef } from "../../html.js";
import { plain } from "../../lib/bidi.js";
import { linesOf, marks, scalar, sections, textOf, wantedLines } from "../../lib/configuration.js";
import { plural } from "../../lib/format.js";
import { modelPath } from "../../lib/query.js";
import { configuration, failure, fetchConfiguration } from "../../state/configuration.js";
import { href, useQueryParam } from "../../state/router.js";
import { stored } from "../../state/settings.js";
import { connections, lastReload } from "../../state/store.js";
import { LastReload } from "./reload.js";

/** @typedef {import("../../lib/configuration.js").Line} Line */
/** @typedef {import("../../lib/configuration.js").Section} Section */

const onlyDiffering = stored("configuration.only-differing", false);

/** More members than this are folded until one is looked for. */
const UNFOLDED = 3;

export default function Configuration() {
  useEffect(() => void fetchConfiguration(), [connections.value, lastReload.value]);
  const told = configuration.value;
  return html`
    <div class="configuration">
      <${PageHeader} title="Configuration" subtitle="As it runs, with secrets hidden; it is changed in its files" />
      ${failure.value && html`
        <div class="notice bad row" role="alert">
          <span>${failure.value}${told ? " What is shown is from before." : ""}</span>
          <${Button} kind="quiet" icon="refresh" onClick=${fetchConfiguration}>Try again<//>
        </div>
      `}
      ${!told && !failure.value && html`<p class="faint" role="status">Fetching the configuration…</p>`}
      ${told && html`<${LastReload} told=${told} />`}
      ${told?.config && html`<${Values} config=${told.config} differing=${told.differing} />`}
    </div>
  `;
}

/** @param {{config: import("../../lib/configuration.js").Mapping, differing: string[][]}} props */
function Values({ config, differing }) {
  const [search, setSearch] = useQueryParam("q", "");
  const [model] = useQueryParam("model", "");
  const marked = useMemo(() => marks(differing), [differing]);
  const all = useMemo(() => sections(config).map((section) => ({
    section,
    entries: section.entries.map((entry) => ({ ...entry, lines: linesOf(entry.value, entry.path, marked) })),
  })), [config, marked]);
  const wanted = { search, onlyDiffering: onlyDiffering.value };
  const found = all.map(({ section, entries }) => ({
    section,
    entries: entries
      .map((entry) => ({ ...entry, shown: matching(section, entry, wanted) }))
      .filter((entry) => entry.shown.length > 0 || (!search && !onlyDiffering.value)),
  })).filter(({ entries }) => entries.length > 0);
  return html`
    <div class="configuration-bar">
      <${SearchField} label="Search the configuration" value=${search} onInput=${setSearch} />
      <${Switch}
        label="Only what is not the default"
        value=${onlyDiffering.value}
        onInput=${(/** @type {boolean} */ value) => (onlyDiffering.value = value)}
      />
      <nav class="configuration-jumps" aria-label="Sections">
        ${found.map(({ section }) => html`<a key=${section.id} href=${`#section-${section.id}`}>${section.title}</a>`)}
      </nav>
    </div>
    ${!found.length && html`
      <${Empty} title=${search ? "Nothing in it matches" : "Everything is as by default"} icon="search" />
    `}
    ${found.map(({ section, entries }) => html`
      <${SectionCard}
        key=${section.id}
        section=${section}
        entries=${entries}
        unfold=${Boolean(search) || entries.length <= UNFOLDED}
        model=${model}
      />
    `)}
  `;
}

/**
 * The lines of an entry that are wanted; all, if its own name is what is looked for.
 * @param {Section} section
 * @param {{id: string, lines: Line[]}} entry
 * @param {{search: string, onlyDiffering: boolean}} wanted
 */
function matching(section, entry, wanted) {
  const words = wanted.search.toLowerCase().split(/\s+/).filter(Boolean);
  const place = `${section.title} ${entry.id}`.toLowerCase();
  const search = words.filter((word) => !place.includes(word)).join(" ");
  return wantedLines(entry.lines, { ...wanted, search });
}

/**
 * @param {{section: Section, entries: {id: string, lines: Line[], shown: Line[]}[], unfold: boolean, model: string}}
 * props
 */
function SectionCard({ section, entries, unfold, model }) {
  const text = () => entries.map((entry) => (entry.id ? named(entry.id, entry.lines) : textOf(entry.lines))).join("");
  return html`
    <${Card}
      id=${`section-${section.id}`}
      title=${section.title}
      collapsible
      storageKey=${`configuration.open.${section.id}`}
      actions=${html`<${CopyButton} label=${`Copy ${section.title.toLowerCase()} as YAML`} text=${text} />`}
    >
      <p class="soft configuration-about">${section.about}</p>
      ${entries.map((entry) => entry.id
        ? html`<${Member} key=${entry.id} section=${section} entry=${entry} unfold=${unfold} model=${model} />`
        : html`<${Lines} lines=${entry.shown} label=${section.title} />`)}
    <//>
  `;
}

/**
 * @param {{section: Section, entry: {id: string, lines: Line[], shown: Line[]}, unfold: boolean, model: string}} props
 */
function Member({ section, entry, unfold, model }) {
  const element = useRef(/** @type {HTMLDetailsElement | null} */ (null));
  const isMeant = section.id === "models" && entry.id === model;
  useEffect(() => {
    if (isMeant) element.current?.scrollIntoView({ block: "start" });
  }, [isMeant]);
  const written = entry.lines.filter((line) => line.differs && !line.parent).length;
  return html`
    <details class=${`configuration-member ${isMeant ? "meant" : ""}`} ref=${element} open=${unfold || isMeant}>
      <summary>
        <span class="configuration-name"><bdi>${plain(entry.id)}</bdi></span>
        <span class="faint">${written ? `${plural(written, "line")} not the default` : "all as by default"}</span>
      </summary>
      <${Lines} lines=${entry.shown} label=${entry.id} />
      <div class="row configuration-tools">
        <${CopyButton} words label="Copy as YAML" text=${() => named(entry.id, entry.lines)} />
        ${section.id === "models" && html`<a href=${href(modelPath(entry.id))}>Go to the model</a>`}
      </div>
    </details>
  `;
}

/** @param {{lines: Line[], label: string}} props */
function Lines({ lines, label }) {
  if (!lines.length) return html`<p class="faint">Nothing of it is wanted.</p>`;
  return html`
    <div class="configuration-lines" role="group" tabindex="0" aria-label=${`Values of ${plain(label)}`}>
      ${lines.map((line) => html`
        <div
          class=${`configuration-line ${line.differs ? "differs" : ""}`}
          style=${{ paddingInlineStart: `${line.depth * 2 + 1.5}ch` }}
        >
          ${line.dash && "- "}${line.key && html`<span class="configuration-key">${line.key}:</span> `}${line.value}
          ${line.differs && !line.parent && html`<span class="unseen"> (not the default)</span>`}
        </div>
      `)}
    </div>
  `;
}

/** @param {string} id @param {Line[]} lines */
const named = (id, lines) =>
  textOf([
    { depth: 0, key: scalar(id), value: "", dash: false, differs: false, parent: true },
    ...lines.map((line) => ({ ...line, depth: line.depth + 1 })),
  ]);
