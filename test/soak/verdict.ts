// Whether a run was flat. Pure, so that a leak of each kind can be tried on it: test/unit/soak/verdict.test.ts.
import { median } from "../../bench/statistics.js";
import { SHORTEST_JUDGED_MINUTES } from "./arguments.js";
import { type Figure, figuresOf } from "./figures.js";
import { largest, middle, type Parts, partsOf } from "./parts.js";
import type { Sample, ServerSample, SoakRun } from "./samples.js";
import { slopeWithin } from "./theil-sen.js";

export interface Finding {
  readonly what: string;
  readonly unit: string;
  /** In the second fifth of the run, and in the last one. */
  readonly early: number | null;
  readonly late: number | null;
  /** What the last one may be. */
  readonly bound: number | null;
  /** Null: not measured. */
  readonly isMet: boolean | null;
  /** False: the machine was busy with other work, and it depends on that. */
  readonly counts: boolean;
}

export interface Verdict {
  readonly findings: readonly Finding[];
  /** What must not be in a run of any length. */
  readonly problems: readonly string[];
  /** False: the run was too short, and the findings do not count. */
  readonly isJudged: boolean;
  readonly isFlat: boolean;
  /** In a sentence. */
  readonly text: string;
}

/** What a fault may do to a call, ours or a plain statement of node-postgres. Anything else is a bug. */
const expectedErrors =
  /^(unavailable|lease-lost|not-held|wait-timeout|stale-fence|LH00[15]|57P0[1-3]|57014|25P0[34]|E[A-Z]+|connection lost)$/;

export function judge(run: SoakRun): Verdict {
  const parts = partsOf(run);
  const isBusy = wasBusy(run, parts);
  const findings = [
    ...figuresOf(run).map((figure) => ({ ...compare(figure, parts), counts: !(figure.isOfMachine && isBusy) })),
    walOfGrant(parts),
    serverMemory(run, parts),
    ...explainedRows(run, parts),
    { ...rateKept(parts), counts: !isBusy },
  ];
  const codes = [...new Set(run.samples.flatMap(({ errors }) => Object.keys(errors)))];
  const unexpected = codes.filter((code) => !expectedErrors.test(code));
  const problems = [...run.problems, ...unexpected.map((code) => `a call failed with ${code}`)];
  const isJudged = run.about.minutes >= SHORTEST_JUDGED_MINUTES;
  const hasGrown = isJudged && findings.some(({ isMet, counts }) => counts && isMet === false);
  const isFlat = problems.length === 0 && !hasGrown;
  return { findings, problems, isJudged, isFlat, text: toText(isFlat, isJudged, findings) };
}

function toText(isFlat: boolean, isJudged: boolean, findings: readonly Finding[]): string {
  if (!isFlat) return "Not flat.";
  if (!isJudged)
    return `Nothing is wrong. Whether anything grows is judged from ${SHORTEST_JUDGED_MINUTES} minutes on.`;
  if (findings.every(({ counts }) => counts)) return "Flat.";
  return "Memory, tables and write-ahead log are flat. The machine was too busy with other work to judge times and failures.";
}

/** The load itself keeps less than one processor busy. */
export function wasBusy({ about }: SoakRun, { early, late }: Parts): boolean {
  const loads = [early, late].map((samples) => middle(samples, ({ machineLoad }) => machineLoad) ?? 0);
  return Math.max(...loads) > 2 * about.processors;
}

function compare({ what, unit, of, share, slack, middle: how, beside }: Figure, { early, late }: Parts): Finding {
  const [before, after] = [middle(early, of, how), middle(late, of, how)];
  const machine = beside === undefined ? 1 : ratio(middle(late, beside), middle(early, beside));
  return finding(
    what,
    unit,
    before,
    after,
    before === null ? null : before * (1 + share) * Math.max(1, machine) + slack,
  );
}

/** Over a whole part: a checkpoint makes some samples dear, and others cheap. */
function walOfGrant({ early, late }: Parts): Finding {
  const kb = (samples: readonly Sample[]): number | null => {
    const servers = samples.flatMap(({ server }) => server ?? []);
    const [first, last] = [servers[0], servers.at(-1)];
    // without those of the first sample, which were before it
    const grants = samples.slice(1).reduce((sum, one) => sum + one.grants, 0);
    if (first === undefined || last === undefined || grants === 0) return null;
    return (last.walBytes - first.walBytes) / grants / 1024;
  };
  const before = kb(early);
  return finding(
    "write-ahead log for each grant",
    "kB",
    before,
    kb(late),
    before === null ? null : before * 1.25 + 0.5,
  );
}

/**
 * By the slope between restarts, for all processes of the server are new after one. What it comes to over the time that is judged is
 * compared with what there is.
 */
function serverMemory({ about, samples }: SoakRun, { early, judged }: Parts): Finding {
  const [what, unit] = ["server: memory of all its processes", "MB"];
  const settlesS = Math.min(60, about.minutes * 3);
  const startsAt = new Map<number, number>();
  const points = samples.flatMap(({ atS, server }) => {
    if (server === null || server.privateMb === null) return [];
    const { startedAt, privateMb } = server;
    if (!startsAt.has(startedAt)) startsAt.set(startedAt, atS);
    const isSettled = atS - (startsAt.get(startedAt) ?? 0) >= settlesS;
    return isSettled ? [{ x: atS, y: privateMb, stretch: startedAt }] : [];
  });
  const before = middle(early, ({ server }) => server?.privateMb);
  if (points.length === 0 || before === null) return finding(what, unit, null, null, null);
  const first = median(points.map(({ y }) => y));
  const growth = slopeWithin(points) * ((judged.at(-1)?.atS ?? 0) - (judged[0]?.atS ?? 0));
  return finding(what, unit, first, first + growth, first * 1.1 + 16);
}

function explainedRows({ explainedRows }: SoakRun, { judged, early }: Parts): Finding[] {
  return Object.entries(explainedRows).map(([table, bound]) => {
    const of = ({ server }: Sample) => server?.rows[table as keyof ServerSample["rows"]];
    return finding(`rows of ${table}, at most`, "", largest(early, of), largest(judged, of), bound);
  });
}

/** The other way round: what is done must not become less. */
function rateKept({ early, late }: Parts): Finding {
  const lost = (samples: readonly Sample[]) => middle(samples, ({ done }) => done, "mean");
  const [before, after] = [lost(early), lost(late)];
  const least = before === null ? null : before * 0.85;
  const isMet = after === null || least === null ? null : after >= least;
  return { ...finding("acts done in a sample, at least", "", before, after, least), isMet };
}

function finding(what: string, unit: string, early: number | null, late: number | null, bound: number | null): Finding {
  const isMet = late === null || bound === null ? null : late <= bound;
  return { what, unit, early, late, bound, isMet, counts: true };
}

function ratio(late: number | null, early: number | null): number {
  return late === null || early === null || early === 0 ? 1 : late / early;
}
