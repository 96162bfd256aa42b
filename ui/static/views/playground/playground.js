/**
 * The playground: a tab for each thing a model can do.
 *
 * Each tab is a module of its own, loaded when it is first shown. What a tab has under way lives in signals of its
 * module, so it goes on, and is still there, when another tab or another page has been shown in between.
 */

import { html, useEffect, useState } from "../../html.js";
import { PageHeader } from "../../components/page.js";
import { Tabs, TabPanel } from "../../components/tabs.js";
import { navigate } from "../../state/router.js";
import { stored } from "../../state/settings.js";

/** @typedef {{ default: (props: {}) => unknown }} TabModule */

const TABS = [
  { id: "chat", label: "Chat" },
  { id: "compare", label: "Compare" },
  { id: "images", label: "Images" },
  { id: "speech", label: "Speech" },
  { id: "transcription", label: "Transcription" },
  { id: "rerank", label: "Rerank" },
  { id: "load-test", label: "Load test" },
];

/** Tabs that have the height of the window, and scroll inside. */
const FILLING = new Set(["chat", "compare"]);

/** @type {Record<string, () => Promise<TabModule>>} */
const MODULES = {
  chat: () => import("./chat.js"),
  compare: () => import("./compare.js"),
  images: () => import("./images.js"),
  speech: () => import("./speech.js"),
  transcription: () => import("./transcription.js"),
  rerank: () => import("./rerank.js"),
  "load-test": () => import("./load-test.js"),
};

const lastTab = stored("playground.tab", "chat", (value) => typeof value === "string" && value in MODULES);

/** @type {Map<string, TabModule>} */
const loaded = new Map();

/**
 * @param {{ segments: string[] }} props  not those of the route: on the way to another page, this one is still shown
 */
export default function Playground({ segments }) {
  const asked = segments[1];
  const tab = asked !== undefined && Object.hasOwn(MODULES, asked) ? asked : lastTab.value;
  useEffect(() => {
    lastTab.value = tab;
    // The address always says which tab this is, so that it can be kept or sent to somebody.
    if (asked !== tab) navigate(`/playground/${tab}`, { replace: true });
  }, [asked, tab]);
  return html`
    <section class=${`playground ${FILLING.has(tab) ? "fill" : ""}`}>
      <${PageHeader} title=${`Playground / ${TABS.find(({ id }) => id === tab)?.label}`} />
      <${Tabs}
        label="Playground"
        tabs=${TABS}
        active=${tab}
        onSelect=${(/** @type {string} */ id) => navigate(`/playground/${id}`)}
      />
      <${TabPanel} id=${tab} active=${tab}>
        <${LazyTab} key=${tab} id=${tab} />
      <//>
    </section>
  `;
}

/**
 * Shows a tab as soon as its module is there. A module that cannot be loaded is the error boundary's business.
 *
 * @param {{ id: string }} props
 */
function LazyTab({ id }) {
  const [module, setModule] = useState(loaded.get(id));
  const [failure, setFailure] = useState(/** @type {unknown} */ (null));
  useEffect(() => {
    let shown = true;
    MODULES[id]().then(
      (found) => {
        loaded.set(id, found);
        if (shown) setModule(found);
      },
      (error) => shown && setFailure(error),
    );
    return () => {
      shown = false;
    };
  }, [id]);
  if (failure) throw failure;
  return module
    ? html`
        <${module.default} />
      `
    : html`
        <p class="playground-loading" role="status">Loading …</p>
      `;
}
