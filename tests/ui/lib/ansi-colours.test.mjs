import assert from "node:assert/strict";
import { test } from "node:test";

import { contrast, CONTRAST, DARK, LIGHT, properties, readable, rgb, seen } from "../../../ui/static/lib/ansi-colours.js";
import { PLAIN } from "../../../ui/static/lib/ansi.js";

const every = Array.from({ length: 256 }, (_each, index) => index);

test("contrast is that of WCAG", () => {
  assert.equal(Math.round(contrast([0, 0, 0], [255, 255, 255])), 21);
  assert.equal(contrast([9, 9, 9], [9, 9, 9]), 1);
});

for (const [mode, palette] of [["light", LIGHT], ["dark", DARK]]) {
  test(`every colour can be read on the page, ${mode}`, () => {
    for (const fg of every) {
      const { ink } = seen({ ...PLAIN, fg }, palette);
      assert.ok(contrast(ink, palette.surface) >= CONTRAST, `${fg}: ${ink}`);
    }
  });

  test(`every colour can be read on every other, even dim or inverse, ${mode}`, () => {
    for (const fg of every.filter((index) => index % 7 === 0 || index < 16)) {
      for (const bg of every.filter((index) => index % 11 === 0 || index < 16)) {
        for (const more of [{}, { dim: true }, { inverse: true }]) {
          const { ink, behind } = seen({ ...PLAIN, fg, bg, ...more }, palette);
          assert.ok(behind && contrast(ink, behind) >= CONTRAST, `${fg} on ${bg}: ${ink} ${behind}`);
        }
      }
    }
  });

  test(`the sixteen colours are what they are without being moved, ${mode}`, () => {
    const moved = every.slice(0, 16).filter((fg) => seen({ ...PLAIN, fg }, palette).ink !== palette.base[fg]);

    assert.deepEqual(moved, []);
  });
}

test("a colour that can be read stays as it is", () => {
  assert.deepEqual(readable([0, 0, 128], [255, 255, 255]), [0, 0, 128]);
});

test("the cube and the greys", () => {
  assert.deepEqual(seen({ ...PLAIN, bg: 196 }, LIGHT).behind, [255, 0, 0]);
  assert.deepEqual(seen({ ...PLAIN, bg: 16 }, LIGHT).behind, [0, 0, 0]);
  assert.deepEqual(seen({ ...PLAIN, bg: 255 }, LIGHT).behind, [238, 238, 238]);
  assert.deepEqual(seen({ ...PLAIN, bg: "#12ab00" }, LIGHT).behind, rgb("#12ab00"));
});

test("the usual style has no properties", () => {
  assert.deepEqual(properties(PLAIN), {});
});

test("styles become properties that follow the mode", () => {
  const found = properties({ ...PLAIN, fg: 1, bold: true, italic: true, underline: true, strike: true });

  assert.match(found.color ?? "", /^light-dark\(rgb\(\d+ \d+ \d+\), rgb\(\d+ \d+ \d+\)\)$/);
  assert.equal(found.fontWeight, "700");
  assert.equal(found.fontStyle, "italic");
  assert.equal(found.textDecorationLine, "underline line-through");
  assert.equal(found.backgroundColor, undefined);
});

test("inverse of the usual style is the page's ink behind and its surface before", () => {
  const { ink, behind } = seen({ ...PLAIN, inverse: true }, DARK);

  assert.deepEqual(behind, DARK.ink);
  assert.deepEqual(ink, DARK.surface);
});
