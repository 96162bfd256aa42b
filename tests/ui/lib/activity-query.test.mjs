import assert from "node:assert/strict";
import test from "node:test";

import {
  DEFAULT_SORT,
  NO_FILTERS,
  activeCount,
  asked,
  filtersOf,
  fromLocalInput,
  localInput,
  pageOf,
  problems,
  sortOf,
  withFilters,
  withSort,
} from "../../../ui/static/lib/activity-query.js";

const ALL = [
  "model=a%2Fb&model=c%26d&status=4xx&status=200&path=%2Fv1&error=full&session=s&key=k&from=3&to=9",
  "start=2026-01-02T03%3A04%3A05Z&end=2026-01-03T00%3A00%3A00Z",
].join("&");

test("filters survive the way through the address, with repeated names and odd characters", () => {
  const filters = filtersOf(new URLSearchParams(ALL));

  assert.deepEqual(filters.models, ["a/b", "c&d"]);
  assert.deepEqual(filtersOf(withFilters(new URLSearchParams(), filters)), filters);
  assert.equal(activeCount(filters), 10);
});

test("an address without filters has none", () => {
  assert.deepEqual(filtersOf(new URLSearchParams("sort=id&model=&path=")), NO_FILTERS);
  assert.equal(activeCount(NO_FILTERS), 0);
});

test("a value given twice counts once", () => {
  assert.deepEqual(filtersOf(new URLSearchParams("model=a&model=a")).models, ["a"]);
});

test("other filters lead to the first page and leave the rest of the address alone", () => {
  const changed = withFilters(new URLSearchParams("page=4&sort=duration&model=a&capture=7"), {
    ...NO_FILTERS,
    path: "/v1",
  });

  assert.equal(changed.toString(), "sort=duration&capture=7&path=%2Fv1");
});

test("the API has names of its own", () => {
  assert.equal(
    asked(filtersOf(new URLSearchParams("session=s&key=k&from=3&to=9&model=a&model=b"))).toString(),
    "model=a&model=b&session_id=s&key=k&min_id=3&max_id=9",
  );
});

test("what the server would refuse is said beside the field", () => {
  const wrong = (/** @type {Partial<import("../../../ui/static/lib/activity-query.js").Filters>} */ some) =>
    Object.keys(problems({ ...NO_FILTERS, ...some }));

  assert.deepEqual(wrong({}), []);
  assert.deepEqual(wrong({ from: "0" }), ["from"]);
  assert.deepEqual(wrong({ to: "x" }), ["to"]);
  assert.deepEqual(wrong({ from: "10", to: "9" }), ["to"]);
  assert.deepEqual(wrong({ from: "9", to: "9" }), []);
  assert.deepEqual(wrong({ start: "yesterday" }), ["start"]);
  assert.deepEqual(wrong({ start: "2026-01-02T00:00:00Z", end: "2026-01-02T00:00:00Z" }), ["end"]);
  assert.deepEqual(wrong({ start: "2026-01-02T00:00:00Z" }), []);
  assert.deepEqual(wrong({ statuses: ["200", "5xx"] }), []);
  assert.deepEqual(wrong({ statuses: ["6xx"] }), ["status"]);
});

test("clicks on a head sort down, then up, then as by default", () => {
  const keys = ["id", "duration"];
  let query = new URLSearchParams("page=3");
  const click = (/** @type {string} */ key) => (query = withSort(query, key, sortOf(query, keys)));

  assert.equal(click("duration").toString(), "sort=duration&order=desc");
  assert.equal(click("duration").toString(), "sort=duration&order=asc");
  assert.equal(click("duration").toString(), "");
  assert.equal(click("id").toString(), "sort=id&order=asc");
  assert.equal(click("id").toString(), "");
});

test("from another column's order the id goes back to the default", () => {
  assert.equal(
    withSort(new URLSearchParams("sort=duration&order=asc"), "id", { key: "duration", order: "asc" }).toString(),
    "",
  );
});

test("a sorting that is none is the default one", () => {
  assert.deepEqual(sortOf(new URLSearchParams("sort=nothing&order=asc"), ["id"]), DEFAULT_SORT);
});

test("pages count from 1, whatever the address says", () => {
  for (const text of ["", "page=", "page=0", "page=-2", "page=x", "page=1e9"])
    assert.equal(pageOf(new URLSearchParams(text)), 1);
  assert.equal(pageOf(new URLSearchParams("page=12")), 12);
});

test("a field for local time gives back the moment it was given", () => {
  for (const moment of ["2026-01-02T03:04:05Z", "2026-07-02T23:59:59Z"])
    assert.equal(fromLocalInput(localInput(moment)), moment);
  for (const nothing of ["", "soon"]) {
    assert.equal(localInput(nothing), "");
    assert.equal(fromLocalInput(nothing), "");
  }
});
