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

/** A piece of the page. */
class FakeElement extends EventTarget {
  scrollTop = 0;
  textContent = "";
  focused = 0;

  closest(selector) {
    return selector === "a[href]" ? this : null;
  }

  hasAttribute(name) {
    return name in this;
  }

  focus() {
    this.focused += 1;
    document.activeElement = this;
  }
}

/** A link; its address is *to*. */
class FakeAnchor extends FakeElement {
  constructor(to, more = {}) {
    super();
    const { origin, pathname, search, hash } = new URL(to, address);
    Object.assign(this, { origin, pathname, search, hash, target: "", ...more });
  }
}

class FakeDocument extends EventTarget {
  hidden = false;
  title = "";
  body = new FakeElement();
  activeElement = this.body;
  scrollingElement = new FakeElement();
  /** The heading of the view that is shown. */
  heading = null;

  querySelector(selector) {
    return selector === "main h1" ? this.heading : null;
  }

  show(isShown) {
    this.hidden = !isShown;
    this.dispatchEvent(new Event("visibilitychange"));
  }
}

export const document = new FakeDocument();

let address = new URL("http://127.0.0.1:8080/ui/");
let entries = [{ url: address.href, state: null }];
let place = 0;

export const history = {
  get state() {
    return entries[place].state;
  },
  get length() {
    return entries.length;
  },
  pushState(state, _title, url) {
    entries = [...entries.slice(0, (place += 1)), { url: null, state }];
    this.replaceState(state, "", url);
  },
  replaceState(state, _title, url) {
    address = new URL(url ?? address.href, address);
    entries[place] = { url: address.href, state: structuredClone(state) };
  },
  /** What the browser's Back does. */
  back() {
    address = new URL(entries[(place -= 1)].url);
    happen("popstate");
  },
};

export const location = {
  get href() {
    return address.href;
  },
  get origin() {
    return address.origin;
  },
  get pathname() {
    return address.pathname;
  },
  get search() {
    return address.search;
  },
  get hash() {
    return address.hash;
  },
};

/** Has somebody click on a link to *to*; returns whether the page has taken it over. */
export function click(to, { link = {}, ...more } = {}) {
  const event = new Event("click", { cancelable: true });
  Object.assign(event, { button: 0, ...more });
  Object.defineProperty(event, "target", { value: new FakeAnchor(to, link) });
  document.dispatchEvent(event);
  return event.defaultPrevented;
}

/** A heading with a text. */
export function heading(textContent) {
  return Object.assign(new FakeElement(), { textContent });
}

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

/** What was asked of the server. */
export const asked = [];

/** What the server answers: by path, a Response, or "never"; nothing: it cannot be reached. */
export const answers = new Map();

Object.assign(globalThis, {
  localStorage: storage,
  document,
  history,
  location,
  Element: FakeElement,
  HTMLAnchorElement: FakeAnchor,
  EventSource: FakeEventSource,
  addEventListener: page.addEventListener.bind(page),
  requestAnimationFrame: (run) => frames.push(run),
  cancelAnimationFrame: () => {},
  fetch: async (path, { method = "GET", body, signal } = {}) => {
    asked.push({ method, path, body });
    if (answers.get(path) === "never") {
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    }
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
