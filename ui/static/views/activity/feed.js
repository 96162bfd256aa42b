import { batch, signal, useEffect, useMemo } from "../../html.js";
import { get, isAbort, wordsFor } from "../../state/api.js";
import { connections, lastActivity } from "../../state/store.js";
import { paced } from "./pace.js";

/** @typedef {import("../../types.js").ActivityPage} Page */
/** @typedef {import("../../types.js").ActivityRecord} Activity */

/** Source of this period: compatibility specification 8.2. */
const PERIOD_MS = 1000;

/**
 * A page of records, and whether there are newer ones. The first page follows what happens; on others the rows would
 * move away under the eye, so they only say how many have come.
 */
export class Feed {
  constructor() {
    /** @type {import("../../html.js").Signal<Page | null>} */
    this.page = signal(null);
    /** The error of the last fetch, in the server's words. */
    this.error = signal("");
    /** Whether what is shown is about to be replaced by something else than its newer self. */
    this.isTurning = signal(false);
    /** Records that the filters mean and that have come since a page that is not the first was fetched. */
    this.newer = signal(0);

    this.query = "";
    this.filters = "";
    this.isFirst = true;
    /** The newest record there was when a page that is not the first was fetched. */
    this.seen = 0;
    /** @type {AbortController | null} */
    this.underWay = null;
    this.pace = paced(() => (this.isFirst ? this.fetch() : this.count()), PERIOD_MS);
  }

  /**
   * Fetches another page, at once.
   *
   * @param {URLSearchParams} filters
   * @param {Record<string, string>} paging
   */
  turn(filters, paging) {
    this.filters = filters.toString();
    this.query = new URLSearchParams([...filters, ...Object.entries(paging)]).toString();
    this.isFirst = paging.page === "1";
    this.isTurning.value = true;
    void this.fetch();
  }

  async fetch() {
    this.underWay?.abort();
    const controller = (this.underWay = new AbortController());
    const before = lastActivity.peek();
    try {
      // Before the page, so that nothing is missed between the two; a connection is not told of what was before it.
      const seen = this.isFirst ? 0 : await newest(controller.signal);
      const page = /** @type {Page} */ (
        await get(`/api/metrics/activity?${this.query}`, { signal: controller.signal })
      );
      const kept = new Map((this.page.peek()?.data ?? []).map((record) => [record.id, record]));
      // Of what has ended nothing changes but whether there is still a capture: the same object lets its row be as
      // it is.
      page.data = page.data.map((record) => {
        const known = kept.get(record.id);
        return known && known.has_capture === record.has_capture ? known : record;
      });
      batch(() => {
        this.page.value = page;
        this.error.value = "";
        this.newer.value = 0;
        this.isTurning.value = false;
      });
      this.seen = seen;
      // Something has ended meanwhile.
      if (lastActivity.peek() !== before) this.pace.ask();
    } catch (error) {
      if (isAbort(error)) return;
      batch(() => {
        this.error.value = wordsFor(error);
        this.isTurning.value = false;
      });
    }
  }

  async count() {
    const query = new URLSearchParams(this.filters);
    query.set("min_id", String(Math.max(this.seen + 1, Number(query.get("min_id")) || 1)));
    query.set("limit", "1");
    if (Number(query.get("max_id") || Infinity) < Number(query.get("min_id"))) return;
    try {
      this.newer.value = (await get(`/api/metrics/activity?${query}`)).total;
    } catch {
      // What is shown is not wrong for it; whoever turns the page is told.
    }
  }

  stop() {
    this.underWay?.abort();
    this.pace.stop();
  }
}

/** @param {AbortSignal} signal @returns {Promise<number>} The id of the newest record, 0 if there is none. */
async function newest(signal) {
  const page = /** @type {Page} */ (await get("/api/metrics/activity", { signal, query: { limit: 1 } }));
  return page.data[0]?.id ?? 0;
}

/**
 * Returns a feed that follows the arguments and what happens, for as long as the component lives.
 *
 * @param {URLSearchParams} filters
 * @param {Record<string, string>} paging
 */
export function useFeed(filters, paging) {
  const feed = useMemo(() => new Feed(), []);
  const connection = connections.value;
  useEffect(() => feed.turn(filters, paging), [filters.toString(), JSON.stringify(paging), connection]);
  useEffect(() => {
    let isNews = false;
    const leave = lastActivity.subscribe(() => {
      // The first call is the subscription itself.
      if (isNews) feed.pace.ask();
      isNews = true;
    });
    return () => {
      leave();
      feed.stop();
    };
  }, []);
  return feed;
}
