// As much of a browser as the modules of ui/static/state look at, for node. Import it before them.

import { mock } from "node:test";

const page = new EventTarget();

/** @type {Map<string, string>} */
const kept = new Map();

export const storage = {
  broken: false,
  getItem(key) {
    if (this.broken) throw new DOMException("no", "SecurityError");
    return kept.get(key) ?? null;
  },
  setItem(key, text) {
    if (this.broken) throw new DOMException("no", "QuotaExceededError");
    kept.set(key, text);
  },
};

/** Has another tab write. */
export function elsewhere(key, newValue) {
  page.dispatchEvent(Object.assign(new Event("storage"), { key, newValue }));
}

/** Has the window get an event. */
export function happen(type, more = {}) {
  page.dispatchEvent(Object.assign(new Event(type), more));
}

class FakeDocument extends EventTarget {
  hidden = false;
  title = "";

  show(isShown) {
    this.hidden = !isShown;
    this.dispatchEvent(new Event("visibilitychange"));
  }
}

export const document = new FakeDocument();

/** @type {(() => void)[]} */
let frames = [];

/** Draws a frame. */
export function frame() {
  const due = frames;
  frames = [];
  for (const run of due) run();
}

/** Each that was made, in their order. */
export const sources = [];

class FakeEventSource {
  closed = false;

  constructor(url) {
    this.url = url;
    sources.push(this);
  }

  close() {
    this.closed = true;
  }

  /** Has it get an event: the text of its data. */
  get(data) {
    if (!this.closed) this.onmessage({ data });
  }

  open() {
    this.onopen();
  }

  fail() {
    if (!this.closed) this.onerror();
  }
}

/** What the server answers: by path, a Response or an error. */
export const answers = new Map();

Object.assign(globalThis, {
  localStorage: storage,
  document,
  EventSource: FakeEventSource,
  addEventListener: page.addEventListener.bind(page),
  requestAnimationFrame: (run) => frames.push(run),
  cancelAnimationFrame: () => {},
  fetch: async (path) => {
    const answer = answers.get(path);
    if (answer instanceof Response) return answer.clone();
    throw new TypeError("failed to fetch");
  },
});

mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_700_000_000_000 });

let monotonic = 0;
mock.method(performance, "now", () => monotonic);

/** Lets time pass. */
export function pass(ms) {
  monotonic += ms;
  mock.timers.tick(ms);
}

/** Lets what is asked for be answered. */
export async function answered() {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
