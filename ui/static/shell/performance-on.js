import { effect } from "../html.js";
import { ApiError, get } from "../state/api.js";
import { stored } from "../state/settings.js";
import { connections, performance } from "../state/store.js";

/** Kept, so that the navigation stands still from the first moment on. */
const enabled = stored("performance-on", true);

/** Whether this Hostler measures the machine; asked again with each connection. */
export const performanceOn = /** @type {import("../html.js").ReadonlySignal<boolean>} */ (enabled);

effect(() => {
  // A sample that arrives is answer enough.
  if (performance.value) enabled.value = true;
});

effect(() => {
  if (connections.value === 0) return;
  // A moment that is now asks for no samples, only whether there are any.
  get("/api/performance", { query: { after: new Date().toISOString() } }).then(
    (answer) => {
      enabled.value = answer.enabled === true;
    },
    (error) => {
      // Other failures tell nothing about it: the entry stays as it is.
      if (error instanceof ApiError && error.status === 503) enabled.value = false;
    },
  );
});
