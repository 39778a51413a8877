import { expect, test } from "vitest";
import { drawCharts } from "../../soak/chart.js";
import { marker, withLastRun } from "../../soak/page.js";
import { judge } from "../../soak/verdict.js";
import { makeRun, ofServer } from "./run.js";

const chart = (name: string, run = makeRun()): string => drawCharts(run).find(({ file }) => file === name)?.text ?? "";

/** The heights of the points of the first line after this title, in pixels from the top. */
function heights(svg: string, title: string): number[] {
  const [, path = ""] = / class="line-0" d="([^"]+)"/.exec(svg.slice(svg.indexOf(title))) ?? [];
  return [...path.matchAll(/[ML][\d.]+ ([\d.]+)/g)].map(([, y]) => Number(y));
}

test("there is a chart of memory, of tables and of times, with colours for a dark page", () => {
  for (const { text } of drawCharts(makeRun())) {
    expect(text).toContain("@media (prefers-color-scheme: dark)");
    expect(text.match(/ class="panel"/g)).toHaveLength(4);
    expect(text).not.toContain("NaN");
  }
});

test("a line that rises is drawn so, in its place", () => {
  const run = makeRun((sample, at) => ofServer(sample, () => ({ connections: 10 + 10 * at })));
  const [first = 0, ...rest] = heights(chart("soak-memory.svg", run), "connections of lockers");
  expect(rest.length).toBeGreaterThan(100);
  expect(rest.at(-1)).toBeLessThan(first - 40);
});

test("a restart is marked", () => {
  expect(chart("soak-memory.svg")).toContain('class="mark"');
  expect(chart("soak-memory.svg", { ...makeRun(), faults: [] })).not.toContain('class="mark" x1');
});

test("the page keeps what is before the mark, and says what grows", () => {
  const run = makeRun((sample, at) => ofServer(sample, () => ({ connections: 10 + 10 * at })));
  const page = withLastRun(`# Soak\n\nText.\n\n${marker}\n\nold\n`, run, judge(run));
  expect(page).toMatch(/^# Soak\n\nText.\n/);
  expect(page).not.toContain("old");
  expect(page).toContain("**Not flat.**");
  expect(page).toMatch(/\| connections of lockers \| .* \| \*\*grows\*\* \|/);
  expect(page).toContain("`--seed 42`");
  expect(() => withLastRun("# Soak\n", run, judge(run))).toThrow("has no line");
});
