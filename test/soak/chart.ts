// The charts of docs/soak.md: what was sampled over the time of one run, in small panels with a scale of their own.
import { toFigure } from "../../bench/results.js";
import { median, quantile } from "../../bench/statistics.js";
import { escapeXml, svg } from "../../bench/svg.js";
import type { Reading } from "./parts.js";
import type { Sample, SoakRun } from "./samples.js";

interface Series {
  readonly name: string;
  readonly of: Reading;
}

interface Panel {
  readonly title: string;
  readonly series: readonly Series[];
  /** A logarithmic scale, for what differs by its size. */
  readonly isLogarithmic?: boolean;
}

interface Chart {
  readonly file: string;
  readonly title: string;
  readonly panels: readonly Panel[];
}

const [PANEL_WIDTH, PANEL_HEIGHT, PLOT_WIDTH, PLOT_HEIGHT, LEFT, TOP] = [460, 200, 380, 120, 56, 44];
const COLOURS = ["#1f6feb", "#bf5700", "#2da44e", "#8250df", "#a8b1bb"];
/** A point of a line is the median of the samples in its place. */
const PLACES = 150;
/** Heaps are looked at more seldom than all else. */
const GAP = 6;

export function drawCharts(run: SoakRun): readonly { readonly file: string; readonly text: string }[] {
  return chartsOf(run).map((chart) => ({ file: chart.file, text: draw(chart, run) }));
}

function chartsOf(run: SoakRun): readonly Chart[] {
  const workers = [...new Set(run.samples.flatMap(({ clients }) => clients.map(({ worker }) => worker)))].sort();
  const ofClient = (read: (client: Sample["clients"][number]) => number | null): Series[] =>
    workers.map((worker) => ({
      name: `client ${worker}`,
      of: ({ clients }) => {
        const client = clients.find((one) => one.worker === worker);
        return client && read(client);
      },
    }));
  const ofTable = (read: "tableKb" | "indexesKb" | "deadRows"): Series[] =>
    ["leases", "shares", "waiters", "sessions", "counters"].map((table) => ({
      name: table,
      of: ({ server }) => server?.tables.find((one) => one.table === table)?.[read],
    }));
  const rows = (["leases", "shares", "waiters", "sessions", "counters"] as const).map((table) => ({
    name: table,
    of: ({ server }: Sample) => server?.rows[table],
  }));
  const times = (of: "cycle" | "handover" | "floor"): Series[] =>
    (["p50", "p99"] as const).map((name) => ({ name, of: (sample) => sample[of]?.[name] }));
  const isLogarithmic = true;
  return [
    {
      file: "soak-memory.svg",
      title: "Memory and connections at a steady load with faults",
      panels: [
        { title: "client: heap after a collection of garbage, MB", series: ofClient(({ heapMb }) => heapMb) },
        { title: "client: memory (RSS), MB", series: ofClient(({ rssMb }) => rssMb) },
        {
          title: "server: memory of all its processes, MB",
          series: [
            { name: "private", of: ({ server }) => server?.privateMb },
            { name: "with its part of the shared", of: ({ server }) => server?.proportionalMb },
          ],
        },
        { title: "connections of lockers", series: [{ name: "open", of: ({ server }) => server?.connections }] },
      ],
    },
    {
      file: "soak-tables.svg",
      title: "Tables at a steady load with faults",
      panels: [
        { title: "tables, kB", series: ofTable("tableKb") },
        { title: "indexes, kB", series: ofTable("indexesKb") },
        { title: "rows", series: rows },
        { title: "dead rows", series: ofTable("deadRows") },
      ],
    },
    {
      file: "soak-speed.svg",
      title: "Times and write-ahead log at a steady load with faults",
      panels: [
        { title: "acquire and release of a free key, ms", series: times("cycle"), isLogarithmic },
        { title: "from a release to the next in line, ms", series: times("handover"), isLogarithmic },
        { title: "a plain durable update, to compare with, ms", series: times("floor"), isLogarithmic },
        { title: "write-ahead log for each grant, kB", series: [{ name: "in a sample", of: walOfGrant(run.samples) }] },
      ],
    },
  ];
}

function walOfGrant(samples: readonly Sample[]): Reading {
  const before = new Map(samples.slice(1).map((sample, index) => [sample, samples[index]] as const));
  return (sample) => {
    const [from, to] = [before.get(sample)?.server, sample.server];
    return from && to && sample.grants > 0 ? (to.walBytes - from.walBytes) / sample.grants / 1024 : null;
  };
}

function draw({ title, panels }: Chart, run: SoakRun): string {
  const { minutes, rate, machine, date, postgres, loadBefore } = run.about;
  const isBusy = loadBefore > 1 && "on a machine that was busy with other work";
  const note = [`${minutes} minutes, ${rate} acts/s`, `Postgres ${postgres}`, machine, date, isBusy]
    .filter(Boolean)
    .join(", ");
  const size = { width: 2 * PANEL_WIDTH, height: TOP + Math.ceil(panels.length / 2) * PANEL_HEIGHT + 24 };
  const styles = {
    extra: `.axis, .mark { stroke: #d0d7de } .mark { stroke-dasharray: 3 3 } .small { font-size: 11px } path { fill: none; stroke-width: 1.5 }
${COLOURS.map((colour, index) => `.line-${index} { stroke: ${colour} } .name-${index} { fill: ${colour} }`).join("\n")}`,
    extraDark: ".axis, .mark { stroke: #3d444d }",
  };
  const body = panels.map((panel, index) =>
    drawPanel(panel, run, (index % 2) * PANEL_WIDTH, TOP + Math.floor(index / 2) * PANEL_HEIGHT),
  );
  return svg(title, size, note, styles, body.join("\n"));
}

function drawPanel({ title, series, isLogarithmic = false }: Panel, run: SoakRun, x: number, y: number): string {
  const lengthS = run.about.minutes * 60;
  const lines = series
    .map(({ name, of }) => ({ name, points: pointsOf(run.samples, of, lengthS) }))
    .filter(({ points }) => points.length > 0);
  const values = lines.flatMap(({ points }) => points.map(({ value }) => value));
  const scale = isLogarithmic ? logarithmic(values) : linear(values);
  const [left, top] = [x + LEFT, y + 22];
  const xOf = (atS: number) => left + (atS / lengthS) * PLOT_WIDTH;
  const yOf = (value: number) => top + PLOT_HEIGHT * (1 - Math.min(1, Math.max(0, scale.place(value))));
  const parts = [`<text class="panel" x="${left}" y="${y + 12}">${escapeXml(title)}</text>`];
  for (const tick of scale.ticks) {
    const at = yOf(tick).toFixed(1);
    parts.push(
      `<line class="axis" x1="${left}" y1="${at}" x2="${left + PLOT_WIDTH}" y2="${at}"/>`,
      `<text class="small" x="${left - 6}" y="${Number(at) + 4}" text-anchor="end">${toTick(tick)}</text>`,
    );
  }
  for (const { atS } of run.faults.filter(({ what }) => what === "restart")) {
    const at = xOf(atS).toFixed(1);
    parts.push(`<line class="mark" x1="${at}" y1="${top}" x2="${at}" y2="${top + PLOT_HEIGHT}"/>`);
  }
  for (const [index, { points }] of lines.entries()) {
    // a gap stays one
    const isNext = (n: number) => n > 0 && (points[n]?.place ?? 0) - (points[n - 1]?.place ?? 0) <= GAP;
    const path = points.map(
      ({ atS, value }, n) => `${isNext(n) ? "L" : "M"}${xOf(atS).toFixed(1)} ${yOf(value).toFixed(1)}`,
    );
    parts.push(`<path class="line-${index}" d="${path.join("")}"/>`);
  }
  parts.push(...namesOf(lines, left, top + PLOT_HEIGHT + 32));
  const at = top + PLOT_HEIGHT + 16;
  parts.push(
    `<text class="small" x="${left}" y="${at}">0</text>`,
    `<text class="small" x="${left + PLOT_WIDTH}" y="${at}" text-anchor="end">${run.about.minutes} min</text>`,
  );
  return parts.join("\n");
}

function namesOf(lines: readonly { readonly name: string }[], left: number, y: number): string[] {
  let x = left;
  return lines.map(({ name }, index) => {
    const text = `<text class="small name-${index}" x="${x}" y="${y}">${escapeXml(name)}</text>`;
    x += 7 * name.length + 18;
    return text;
  });
}

function pointsOf(samples: readonly Sample[], of: Reading, lengthS: number): Point[] {
  const places = new Map<number, number[]>();
  for (const sample of samples) {
    const value = of(sample);
    if (value === null || value === undefined) continue;
    const place = Math.min(PLACES - 1, Math.floor((sample.atS / lengthS) * PLACES));
    places.set(place, [...(places.get(place) ?? []), value]);
  }
  return [...places].map(([place, all]) => ({ place, atS: ((place + 0.5) / PLACES) * lengthS, value: median(all) }));
}

interface Point {
  readonly place: number;
  readonly atS: number;
  readonly value: number;
}

interface Scale {
  /** From 0, below, to 1. */
  place(value: number): number;
  readonly ticks: readonly number[];
}

/** From 0, so that a slope looks as steep as it is. A few wild points are cut off at the top. */
function linear(values: readonly number[]): Scale {
  const most = Math.max(1, Math.min(Math.max(0, ...values), 3 * quantile(values, 0.95) || 0));
  const step = [1, 2, 5, 10].map((n) => n * 10 ** Math.floor(Math.log10(most / 2))).find((n) => most / n <= 4) ?? most;
  const top = Math.ceil(most / step) * step;
  const ticks = Array.from({ length: Math.round(top / step) + 1 }, (_, n) => n * step);
  return { place: (value) => value / top, ticks };
}

function logarithmic(values: readonly number[]): Scale {
  const positive = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(1, ...positive)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(1, ...positive))));
  const ticks = Array.from({ length: high - low + 1 }, (_, n) => 10 ** (low + n));
  return { place: (value) => (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low), ticks };
}

function toTick(value: number): string {
  return value === 0 ? "0" : value >= 1 ? value.toLocaleString("en-US") : toFigure(value);
}
