/** @file A log with all that belongs to it: filter, size of the letters, wrapping, following, copying, clearing. */

import { html, useCallback, useEffect, useMemo, useReducer, useRef, useState } from "../html.js";
import { count } from "../lib/format.js";
import { LogFeed } from "../state/log-feed.js";
import { followLog } from "../state/log-stream.js";
import { logs } from "../state/logs.js";
import { stored } from "../state/settings.js";
import { connection } from "../state/store.js";
import { stylesheet } from "../stylesheet.js";
import { Button, IconButton } from "./button.js";
import { CopyButton } from "./copy.js";
import { SearchField } from "./field.js";
import { LogView } from "./log-view.js";

void stylesheet("log-pane");

const SIZES = [11, 12, 13, 15];
const TYPING_MS = 150;

/**
 * The log of a *source*, which comes with the event stream, or of a *path*, which is streamed while it is shown.
 *
 * @param {{
 *   source?: "proxy" | "upstream", path?: string, storageKey: string, title?: string, label?: string,
 * }} props
 */
export function LogPane({ source, path, storageKey, title, label = title ?? "Log" }) {
  const [version, redraw] = useReducer((/** @type {number} */ number) => number + 1, 0);
  const [trouble, setTrouble] = useState(/** @type {string | null} */ (path ? "connecting" : null));
  const [following, setFollowing] = useState(true);
  const heldAt = useRef(0);
  const feed = useMemo(() => new LogFeed(), [source, path]);
  const filter = useMemo(() => stored(`${storageKey}.filter`, "", isText), [storageKey]);
  const size = useMemo(() => stored(`${storageKey}.size`, 12, isSize), [storageKey]);
  const wrap = useMemo(() => stored(`${storageKey}.wrap`, true, isFlag), [storageKey]);

  const follow = useCallback(
    (/** @type {boolean} */ wanted) => {
      if (wanted) feed.release();
      else if (!feed.shown.isHeld) {
        heldAt.current = feed.shown.come;
        feed.hold();
      }
      setFollowing(wanted);
    },
    [feed],
  );

  useEffect(() => {
    feed.onChange = () => redraw(0);
    setFollowing(true);
    if (source) {
      const end = logs[source].follow((text, restarted) => {
        if (restarted) feed.restart();
        feed.receive(text);
      });
      return () => (end(), feed.close());
    }
    setTrouble("connecting");
    const end = followLog(path ?? "/logs/stream", {
      onStart: () => feed.restart(),
      onText: (text) => feed.receive(text),
      onState: setTrouble,
    });
    return () => (end(), feed.close());
  }, [feed]);

  useEffect(() => {
    const timer = setTimeout(() => {
      feed.setFilter(filter.value);
      setFollowing(true);
    }, version ? TYPING_MS : 0);
    return () => clearTimeout(timer);
  }, [feed, filter.value]);

  const nextSize = SIZES[(SIZES.indexOf(size.value) + 1) % SIZES.length] ?? 12;
  const fresh = following ? 0 : feed.shown.come - heldAt.current;
  const standing = source ? connection.value : trouble === null ? "open" : trouble === "connecting" ? trouble : "lost";
  const clear = () => {
    // What comes with the event stream is kept elsewhere, too, and would be back with the next visit.
    if (source) logs[source].clear();
    feed.clear();
    follow(true);
  };
  return html`
    <section class="log-pane" aria-label=${label}>
      <div class="log-bar">
        ${title && html`<h2 class="log-title">${title}</h2>`}
        <${SearchField}
          class="log-filter"
          label=${`Filter ${label.toLowerCase()}`}
          placeholder="Filter lines (regular expression)"
          value=${filter.value}
          onInput=${(/** @type {string} */ text) => (filter.value = text)}
          error=${feed.failure || undefined}
        />
        <span class="log-count" aria-live="polite">
          ${feed.isFiltered ? `${count(feed.shown.lines.length)} of ${count(feed.count)}` : ""}
        </span>
        <span class="log-tools">
          <${IconButton}
            icon="text-size"
            label=${`Letters: ${size.value} px`}
            onClick=${() => (size.value = nextSize)}
          />
          <${IconButton}
            icon="wrap"
            label="Wrap long lines"
            pressed=${wrap.value}
            onClick=${() => (wrap.value = !wrap.value)}
          />
          <${CopyButton} label="Copy what is held" text=${() => feed.text()} />
          <${IconButton} icon="download" label="Download what is held" onClick=${() => download(label, feed.text())} />
          <${IconButton} icon="trash" label="Clear" onClick=${clear} />
        </span>
      </div>
      ${standing !== "open" && html`
        <p class="log-trouble" role="status">${troubleText(standing, source ? null : trouble)}</p>
      `}
      <div class="log-body">
        <${LogView}
          feed=${feed}
          version=${version}
          label=${label}
          size=${size.value}
          wrap=${wrap.value}
          following=${following}
          onFollow=${follow}
        />
        ${!feed.shown.lines.length && !(feed.open && !feed.isFiltered) && html`
          <p class="log-empty">${feed.isFiltered ? "No line matches the filter." : "Nothing has been printed yet."}</p>
        `}
        ${!following && html`
          <div class="log-jump">
            <${Button} icon="sort-down" onClick=${() => follow(true)}>
              Jump to newest${fresh > 0 ? html` <span class="log-fresh">${count(fresh)} new</span>` : ""}
            <//>
          </div>
        `}
      </div>
    </section>
  `;
}

/** @param {unknown} value @returns {value is string} */
const isText = (value) => typeof value === "string";
/** @param {unknown} value @returns {value is number} */
const isSize = (value) => typeof value === "number" && SIZES.includes(value);
/** @param {unknown} value @returns {value is boolean} */
const isFlag = (value) => typeof value === "boolean";

/** @param {string} standing @param {string | null} reason */
function troubleText(standing, reason) {
  if (standing === "connecting") return "Connecting…";
  return `Not connected${reason ? ` (${reason})` : ""}; tried again until it is. What is here is from before.`;
}

/** @param {string} name @param {string} text */
function download(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = `${name.toLowerCase().replace(/[^a-z0-9.-]+/g, "-")}.log`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
