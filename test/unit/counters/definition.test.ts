// Each counter of src/store/counts.ts is also in what is written by hand: a failure says what lacks it. That the database has them is
// in test/counters/definition.test.ts.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { viewColumns } from "../../../scripts/view-columns.js";
import { counterColumns, prefixCounterColumns } from "../../../src/store/counter-columns.js";
import { plainCounters } from "../../../src/store/counts.js";

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");

test("src/sql/views/stats.sql selects each", () => {
  const text = read("src/sql/views/stats.sql");
  const missing = counterColumns.filter(({ column }) => !text.includes(`t.${column}::bigint`));
  expect(missing.map(({ column }) => `src/sql/views/stats.sql does not select t.${column}::bigint`)).toEqual([]);
});

test("the views of src/drizzle have each", () => {
  const { stats = {}, stats_by_prefix = {} } = viewColumns();
  const missing = [
    ...counterColumns.filter(({ column }) => !(column in stats)).map(({ column }) => `stats has no ${column}`),
    ...prefixCounterColumns
      .filter(({ column }) => !(column in stats_by_prefix))
      .map(({ column }) => `statsByPrefix has no ${column}`),
  ];
  expect(missing.map((what) => `src/drizzle/counter-views.ts: ${what}`)).toEqual([]);
});

test("docs/reference/inspection.md names each, by its name in stats() and by its column", () => {
  const rows = read("docs/reference/inspection.md")
    .split("\n")
    .filter((line) => line.startsWith("| "));
  const names = [...Object.keys(plainCounters), ...counterColumns.map(({ column }) => column)];
  const missing = names.filter((name) => !rows.some((row) => row.includes(`\`${name}\``)));
  expect(
    missing.map((name) => `docs/reference/inspection.md: no row of the table of counters has \`${name}\``),
  ).toEqual([]);
});
