// Reads Prometheus' text format, and refuses what Prometheus would, and what its naming conventions forbid:
// https://prometheus.io/docs/instrumenting/exposition_formats/, https://prometheus.io/docs/practices/naming/
export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly name: string;
  readonly labels: Labels;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: Sample[];
}

const NAME = /^[a-z][a-z0-9_]*$/;
const NUMBER = /^(?:-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|\+Inf)$/;
/** What a base unit stands for. */
const OTHER_UNITS = /_(?:ms|millis|milliseconds|microseconds|us|minutes|min|hours|days|percent)(?:_|$)/;

/** The families by name, in their order. @throws Error that quotes the line */
export function parseExposition(text: string): ReadonlyMap<string, Family> {
  if (text !== "" && !text.endsWith("\n")) throw new Error("the last line does not end");
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  let help: { readonly name: string; readonly text: string } | null = null;
  let family: Family | null = null;
  for (const line of text.split("\n").slice(0, -1)) {
    const refuse = (why: string): never => {
      throw new Error(`${why}: ${line}`);
    };
    const head = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
    if (head !== null) {
      const [, kind, name = "", rest = ""] = head;
      if (kind === "HELP") {
        if (families.has(name)) refuse("a second HELP");
        if (help !== null) refuse("the last HELP has no TYPE");
        help = { name, text: rest };
        continue;
      }
      if (help?.name !== name) refuse("no HELP before its TYPE");
      if (!["gauge", "counter", "histogram"].includes(rest)) refuse("an unknown type");
      family = { name, type: rest, help: help?.text ?? "", samples: [] };
      families.set(name, family);
      help = null;
      continue;
    }
    if (help !== null || family === null) throw new Error(`a sample without HELP and TYPE before it: ${line}`);
    const sample = parseSample(line);
    if (!ownNames(family).includes(sample.name)) refuse(`a sample of another metric than ${family.name}`);
    const series = JSON.stringify([
      sample.name,
      Object.entries(sample.labels)
        .filter(([, value]) => value !== "")
        .sort(),
    ]);
    if (seen.has(series)) refuse("twice; a label without a value is none");
    seen.add(series);
    family.samples.push(sample);
  }
  if (help !== null) throw new Error(`the last HELP has no TYPE: ${help.name}`);
  for (const one of families.values()) checkFamily(one);
  return families;
}

function ownNames({ name, type }: Family): readonly string[] {
  return type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name];
}

function parseSample(line: string): Sample {
  const refuse = (why: string): never => {
    throw new Error(`${why}: ${line}`);
  };
  const [, name = "", inBraces, number = ""] =
    /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[^"{}]|"(?:[^"\\]|\\.)*")*)\})? (\S+)$/.exec(line) ?? refuse("not a sample");
  if (!NUMBER.test(number)) refuse("not a number");
  const labels: Record<string, string> = {};
  let rest = inBraces ?? "";
  while (rest !== "") {
    const [pair = "", label = "", value = ""] =
      /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\"n])*)"(?:,(?=.)|$)/.exec(rest) ?? refuse("not a label");
    if (Object.hasOwn(labels, label)) refuse("a label twice");
    labels[label] = value.replaceAll(/\\(.)/g, (_, escaped) => (escaped === "n" ? "\n" : escaped));
    rest = rest.slice(pair.length);
  }
  return { name, labels, value: number === "+Inf" ? Number.POSITIVE_INFINITY : Number(number) };
}

function checkFamily(family: Family): void {
  const { name, type, help, samples } = family;
  const check = (isGood: boolean, why: string): void => {
    if (!isGood) throw new Error(`${name}: ${why}`);
  };
  check(NAME.test(name), "a name of lower case letters, digits and underscores");
  check(!OTHER_UNITS.test(name), "a base unit");
  check(name.endsWith("_total") === (type === "counter"), "_total ends the names of counters, and of nothing else");
  check(!/_(?:count|sum|bucket)$/.test(name), "an ending that belongs to histograms");
  check(/^[A-Z].*\.$/.test(help), "a sentence for help");
  for (const { value, labels } of samples) {
    check(value >= 0 && Number.isFinite(value), "nothing below 0");
    check(
      Object.keys(labels).every((label) => NAME.test(label) && (label !== "le" || type === "histogram")),
      "labels",
    );
  }
  if (type === "counter")
    check(
      samples.every(({ value }) => Number.isInteger(value)),
      "whole numbers",
    );
  if (type === "histogram") checkHistogram(family, check);
}

function checkHistogram({ name, samples }: Family, check: (isGood: boolean, why: string) => void): void {
  const buckets = samples.filter((sample) => sample.name === `${name}_bucket`);
  const bounds = buckets.map(({ labels }) => (labels.le === "+Inf" ? Number.POSITIVE_INFINITY : Number(labels.le)));
  const rises = (numbers: readonly number[], strictly: boolean): boolean =>
    numbers.every((number, index) => {
      const last = numbers[index - 1] ?? Number.NEGATIVE_INFINITY;
      return strictly ? number > last : number >= last;
    });
  check(/_seconds$/.test(name), "in seconds");
  check(bounds.length > 1 && bounds.at(-1) === Number.POSITIVE_INFINITY, "buckets, of which +Inf is the last");
  check(rises(bounds, true), "bounds that rise");
  check(
    rises(
      buckets.map(({ value }) => value),
      false,
    ),
    "buckets that contain those before them",
  );
  const one = (ending: string): number => {
    const found = samples.filter((sample) => sample.name === `${name}_${ending}`);
    check(found.length === 1, `one _${ending}`);
    return found[0]?.value ?? Number.NaN;
  };
  check(one("count") === buckets.at(-1)?.value, "a _count that is the last bucket");
  check(one("sum") >= 0, "a _sum");
}
