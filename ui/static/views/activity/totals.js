import { html, signal, useEffect, useMemo } from "../../html.js";
import { Button } from "../../components/button.js";
import { Card } from "../../components/card.js";
import { Histogram } from "../../components/histogram.js";
import { count, duration, plural } from "../../lib/format.js";
import { get, isAbort, wordsFor } from "../../state/api.js";
import { stored } from "../../state/settings.js";
import { connections, lastActivity } from "../../state/store.js";
import { paced } from "./pace.js";

/** @typedef {import("../../types.js").ActivityStats} Stats */

const PERIOD_MS = 1000;

const NAMES = /** @type {const} */ (["p50", "p95", "p99"]);

/** Sums and spreads over all requests, whatever the filters of the table are. @param {{model?: string}} props */
export function Totals({ model }) {
  const isCollapsed = useMemo(() => stored("activity-histogram-collapsed", false), []);
  const { stats, error, fetch } = useStats(model);
  const its = stats.value;
  const actions = html`
    <${Button}
      kind="quiet"
      icon=${isCollapsed.value ? "chevron-down" : "chevron-up"}
      aria-expanded=${String(!isCollapsed.value)}
      onClick=${() => (isCollapsed.value = !isCollapsed.value)}
    >
      ${isCollapsed.value ? "Show histograms" : "Hide histograms"}
    <//>
  `;
  return html`
    <${Card} title="Totals" actions=${actions} class="activity-totals">
      ${
        error.value &&
        html`
        <div class="notice bad" role="alert">
          <p class="notice-words">${error.value}</p>
          <${Button} icon="refresh" onClick=${fetch}>Try again<//>
        </div>
      `
      }
      <dl class="activity-sums">
        <${Sum} label="Requests" value=${its?.total_requests} />
        <${Sum} label="Cached" value=${its?.total_cache_tokens} title="Prompt tokens from cache" />
        <${Sum} label="Processed" value=${its?.total_input_tokens} title="New prompt tokens processed" />
        <${Sum} label="Generated" value=${its?.total_output_tokens} title="Tokens generated" />
      </dl>
      ${!isCollapsed.value && html`<${Spreads} stats=${its} />`}
    <//>
  `;
}

/** @param {{label: string, value: number | undefined, title?: string}} props */
function Sum({ label, value, title }) {
  return html`<div title=${title}><dt>${label}</dt><dd>${count(value)}</dd></div>`;
}

const rate = (/** @type {number} */ value) => (value < 99.95 ? value.toFixed(1) : count(value));

/** @param {{stats: Stats | null}} props */
function Spreads({ stats }) {
  return html`
    <div class="activity-spreads" role="region" aria-label="Spreads" tabindex="0">
      <${Histogram} title="Prompt speed" unit="tokens/s" figures=${stats?.prompt_histogram ?? null} format=${rate} />
      <${Histogram} title="Generation speed" unit="tokens/s" figures=${stats?.gen_histogram ?? null} format=${rate} />
      <${Histogram} title="Time to first token" unit="" figures=${stats?.ttft_histogram ?? null} format=${duration} />
    </div>
    ${
      (stats?.queued_ms || stats?.swap_ms) &&
      html`
      <dl class="activity-waits">
        <${Wait} label="Waiting for a turn" figures=${stats.queued_ms} />
        <${Wait} label="Waiting for a model to load" figures=${stats.swap_ms} />
      </dl>
    `
    }
  `;
}

const waited = (/** @type {number} */ ms) => (ms < 1 ? "under 1 ms" : duration(ms));

/** @param {{label: string, figures: Stats["queued_ms"]}} props */
function Wait({ label, figures }) {
  if (!figures) return null;
  return html`
    <div>
      <dt>${label}</dt>
      <dd>
        <span class="faint">${plural(figures.count, "request")}</span>
        ${NAMES.map(
          (name) => html`<span key=${name}><span class="faint">${name}</span> ${waited(figures[name])}</span>`,
        )}
      </dd>
    </div>
  `;
}

/** @param {string | undefined} model */
function useStats(model) {
  const made = useMemo(() => {
    const stats = signal(/** @type {Stats | null} */ (null));
    const error = signal("");
    let controller = new AbortController();
    const fetch = async () => {
      controller.abort();
      controller = new AbortController();
      try {
        stats.value = await get("/api/metrics/stats", { signal: controller.signal, query: { model } });
        error.value = "";
      } catch (caught) {
        if (!isAbort(caught)) error.value = wordsFor(caught);
      }
    };
    return { stats, error, fetch, abort: () => controller.abort() };
  }, [model]);
  const connection = connections.value;
  useEffect(() => {
    const pace = paced(made.fetch, PERIOD_MS);
    const leave = lastActivity.subscribe(() => pace.ask());
    return () => {
      leave();
      pace.stop();
      made.abort();
    };
  }, [made, connection]);
  return made;
}
