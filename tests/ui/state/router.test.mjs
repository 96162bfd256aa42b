import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { click, document, frame, heading, history, location, pass } from "./browser.mjs";
import { href, navigate, route, setQueryParam } from "../../../ui/static/state/router.js";

function at() {
  return location.pathname + location.search;
}

/** Lets the frames come that a view has to arrive in. */
function arrive() {
  for (let count = 0; count < 3; count += 1) frame();
}

beforeEach(() => {
  navigate("/");
  pass(3000);
  arrive();
  document.heading = heading("Start");
  document.activeElement = document.body;
});

test("a place is the address below /ui", () => {
  navigate("/models/org%2Fmodel?tab=logs");

  assert.equal(at(), "/ui/models/org%2Fmodel?tab=logs");
  assert.deepEqual(route.value.segments, ["models", "org/model"]);
  assert.deepEqual({ ...route.value.query }, { tab: "logs" });
});

test("a slash at the end is no segment", () => {
  navigate("/models/");

  assert.equal(route.value.path, "/models");
});

test("an address is made for links", () => {
  assert.equal(href("/models"), "/ui/models");
  assert.equal(href("models"), "/ui/models");
});

test("back is where one was, as far down as one was", () => {
  navigate("/models");
  document.scrollingElement.scrollTop = 300;
  navigate("/logs");
  assert.equal(document.scrollingElement.scrollTop, 0);

  history.back();
  document.heading = heading("Models");
  arrive();

  assert.equal(route.value.path, "/models");
  assert.equal(document.scrollingElement.scrollTop, 300);
});

test("what replaces a place cannot be gone back to", () => {
  const { length } = history;

  navigate("/playground/chat", { replace: true });

  assert.equal(history.length, length);
});

test("the focus goes to the heading of the new view, when it is there", () => {
  navigate("/logs");
  frame();
  assert.equal(document.heading.focused, 0);

  document.heading = heading("Logs");
  frame();

  assert.equal(document.heading.focused, 1);
});

test("a view with the same heading gets the focus in the end", () => {
  navigate("/logs");

  pass(2500);
  frame();

  assert.equal(document.heading.focused, 1);
});

test("who has begun with something else keeps the focus", () => {
  navigate("/logs");
  document.activeElement = heading("a text field");
  document.heading = heading("Logs");
  frame();

  assert.equal(document.heading.focused, 0);
});

test("another query is no other place: focus and scroll stay", () => {
  document.scrollingElement.scrollTop = 300;

  navigate("/?page=2");
  document.heading = heading("new");
  arrive();

  assert.equal(document.heading.focused, 0);
  assert.equal(document.scrollingElement.scrollTop, 300);
});

test("a parameter is in the address, the others stay, and back leaves the page", () => {
  navigate("/activity?page=2");
  const { length } = history;

  setQueryParam("q", "a b");
  assert.equal(at(), "/ui/activity?page=2&q=a+b");
  assert.equal(route.value.query.q, "a b");
  setQueryParam("page", null);

  assert.equal(at(), "/ui/activity?q=a+b");
  assert.equal(history.length, length);
});

test("links of the page are followed without loading it", () => {
  assert.equal(click("/ui/models?q=x"), true);
  assert.equal(at(), "/ui/models?q=x");
  assert.equal(click("/ui"), true);
  assert.equal(at(), "/ui/");
});

for (const [what, to, more] of [
  ["a link to elsewhere", "https://example.org/ui/models", {}],
  ["a model's own page", "/upstream/llama/", {}],
  ["a file of the page", "/ui/assets/x/main.js", {}],
  ["what only begins like the page", "/uix", {}],
  ["a place on this very page", "/ui/#main", {}],
  ["a download", "/ui/models", { link: { download: "" } }],
  ["a link to a new window", "/ui/models", { link: { target: "_blank" } }],
  ["a click for a new tab", "/ui/models", { ctrlKey: true }],
  ["the middle button", "/ui/models", { button: 1 }],
]) {
  test(`${what} is the browser's`, () => {
    assert.equal(click(to, more), false);
    assert.equal(at(), "/ui/");
  });
}
