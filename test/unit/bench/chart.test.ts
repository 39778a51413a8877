import { expect, test } from "vitest";
import { drawChart } from "../../../bench/chart.js";
import type { Results, Row } from "../../../bench/results.js";
import { uncontendedCase } from "../../../bench/workloads/uncontended.js";

const row = (inFlight: number, contender: string, rate: number): Row => ({
  workload: "uncontended",
  case: uncontendedCase(inFlight, 1),
  contender,
  unit: "cycles/s",
  isMoreBetter: true,
  samples: [rate],
});
const results = (rows: readonly Row[], about: Results["about"] = {}): Results => ({
  about,
  leftOut: [],
  rows,
  bounds: [],
});
const widths = (svg: string) => [...svg.matchAll(/<rect [^>]*width="([\d.]+)"/g)].map(([, width]) => Number(width));

test("a bar is as long as its rate is, in its panel", () => {
  const svg = drawChart(
    results([row(128, "leasehold", 40_000), row(128, "redlock", 20_000), row(128, "etcd3", 10_000)]),
  );
  const [ours = 0, redlock = 0, etcd = 0] = widths(svg);
  expect(ours / redlock).toBeCloseTo(2);
  expect(ours / etcd).toBeCloseTo(4);
  expect(svg).toContain(">40,000<");
});

test("a panel has its own scale, and none is drawn for what was not measured", () => {
  const svg = drawChart(results([row(1, "leasehold", 10), row(16, "leasehold", 10_000)]));
  const [one, sixteen] = widths(svg);
  expect(one).toBe(sixteen);
  expect(svg).toContain("16 in flight");
  expect(svg).not.toContain("1,024 in flight");
});

test("the chart has colours for a dark page, too", () => {
  expect(drawChart(results([row(1, "leasehold", 10)]))).toContain("@media (prefers-color-scheme: dark)");
});

test("what is told of the machine is escaped", () => {
  const svg = drawChart(results([row(1, "leasehold", 10)], { machine: 'A "fast" <CPU> & more' }));
  expect(svg).toContain("A &quot;fast&quot; &lt;CPU&gt; &amp; more");
});

test("a result of a busy machine says so", () => {
  const noteAt = (loadBefore: number) => drawChart(results([row(1, "leasehold", 10)], { loadBefore }));
  expect(noteAt(8)).toContain("BUSY WITH OTHER WORK");
  expect(noteAt(0.3)).not.toContain("BUSY");
});
