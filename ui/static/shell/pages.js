import { performanceOn } from "./performance-on.js";

/** @typedef {import("../html.js").Children} Children */
/** @typedef {(props: { segments: string[] }) => Children} View */

/**
 * @typedef {object} Page
 * @property {string} id the first segment of its address, and the name of its stylesheet
 * @property {string} label
 * @property {string} icon
 * @property {(segments: string[]) => Promise<{ default: View }>} load
 */

/** @type {readonly Page[]} */
export const PAGES = [
  { id: "activity", label: "Activity", icon: "activity", load: () => import("../views/activity/activity.js") },
  {
    id: "playground",
    label: "Playground",
    icon: "playground",
    load: () => import("../views/playground/playground.js"),
  },
  {
    id: "models",
    label: "Models",
    icon: "models",
    load: ([, model]) => (model ? import("../views/models/model.js") : import("../views/models/models.js")),
  },
  { id: "logs", label: "Logs", icon: "logs", load: () => import("../views/logs/logs.js") },
  {
    id: "performance",
    label: "Performance",
    icon: "performance",
    load: () => import("../views/performance/performance.js"),
  },
  { id: "hardware", label: "Hardware", icon: "hardware", load: () => import("../views/hardware/hardware.js") },
  {
    id: "configuration",
    label: "Configuration",
    icon: "configuration",
    load: () => import("../views/configuration/configuration.js"),
  },
  { id: "settings", label: "Settings", icon: "settings", load: () => import("../views/settings/settings.js") },
];

const [ACTIVITY] = PAGES;

/**
 * The page of an address; Activity where the address names none.
 *
 * @param {readonly string[]} segments
 * @returns {Page}
 */
export const pageOf = (segments) => PAGES.find((page) => page.id === segments[0]) ?? ACTIVITY;

/** The pages of the navigation, in order; "Performance" only where the machine is measured. Settings stands apart. */
export const listedPages = () =>
  PAGES.filter((page) => page.id !== "settings" && (page.id !== "performance" || performanceOn.value));
