import assert from "node:assert/strict";
import { test } from "node:test";

import { elsewhere, storage } from "./browser.mjs";
import { stored } from "../../../ui/static/state/settings.js";

let last = 0;

/** A key that no other test has. */
function fresh(text) {
  const key = `key-${(last += 1)}`;
  if (text !== undefined) storage.setItem(`hostler.${key}`, text);
  return key;
}

test("what is set is kept as JSON", () => {
  const key = fresh();

  stored(key, "a").value = "b";

  assert.equal(storage.getItem(`hostler.${key}`), '"b"');
});

test("what was kept is there again", () => {
  assert.deepEqual(stored(fresh('["x"]'), []).value, ["x"]);
});

test("what is only the default is not written", () => {
  const key = fresh();

  stored(key, 5);

  assert.equal(storage.getItem(`hostler.${key}`), null);
});

test("back at the default is written: it was chosen", () => {
  const key = fresh();
  const setting = stored(key, 5);

  setting.value = 6;
  setting.value = 5;

  assert.equal(storage.getItem(`hostler.${key}`), "5");
});

test("asked for twice, it is the same", () => {
  const key = fresh();

  assert.equal(stored(key, 1), stored(key, 1));
});

for (const [text, initial] of [["{", 1], ['"1"', 1], ["[]", {}], ["null", {}], ["{}", []]]) {
  test(`${text} is no value where ${JSON.stringify(initial)} is the default`, () => {
    assert.equal(stored(fresh(text), initial).value, initial);
  });
}

test("what is valid is for the one who asks to say", () => {
  assert.equal(stored(fresh("7"), 1, (value) => value < 5).value, 1);
  assert.equal(stored(fresh('"x"'), null, () => true).value, "x");
});

test("another tab is followed, and not answered", () => {
  const key = fresh();
  const setting = stored(key, "a");

  elsewhere(`hostler.${key}`, '"b"');

  assert.equal(setting.value, "b");
  assert.equal(storage.getItem(`hostler.${key}`), null);
});

test("another tab that clears everything leaves the defaults", () => {
  const setting = stored(fresh("2"), 1);

  elsewhere(null, null);

  assert.equal(setting.value, 1);
});

test("keys of others are not ours", () => {
  const key = fresh();
  const setting = stored(key, 1);

  elsewhere(key, "2");

  assert.equal(setting.value, 1);
});

test("without storage it holds as long as the page", () => {
  storage.broken = true;
  try {
    const setting = stored(fresh(), 1);
    setting.value = 2;

    assert.equal(setting.value, 2);
  } finally {
    storage.broken = false;
  }
});
