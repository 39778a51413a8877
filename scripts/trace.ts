// npm run trace: how long the road of each act is. Counts the calls of the library's own functions, from the user's call down to the
// moment when its statement is handed to postgres.js, and those on the way back from the answer to the user. In the steady state: the
// locker is connected, and the same act was done some times before. V8 counts, so closures, getters and constructors count, too.
//
//   npm run trace [-- --list]   --list names the functions, by file
//
// The exit code is 1 where a limit is passed: what the road is long today. It only ever gets lower, until the goal is met.
import { Session } from "node:inspector";
import { parseArgs } from "node:util";
import postgres from "postgres";
import { startCluster } from "../test/support/cluster.js";

const { values } = parseArgs({ options: { list: { type: "boolean" } } });
/** Src, compiled file by file: the package is bundled, and would be two files. */
const build = new URL("../build/", import.meta.url).href;
const WARM_UPS = 5;
/** A heartbeat may fall into one of them: the fewest calls count. */
const MEASUREMENTS = 5;

interface Goal {
  readonly calls: number;
  readonly files: number;
}
const goals: Readonly<Record<string, Goal>> = {
  "acquire, free": { calls: 40, files: 12 },
  release: { calls: 30, files: 8 },
};
const limits: Readonly<Record<string, Goal>> = {
  "acquire, free": { calls: 30, files: 14 },
  release: { calls: 30, files: 14 },
};

interface Called {
  readonly file: string;
  readonly name: string;
  readonly calls: number;
}
/** By place in the built source: closures have no names. */
type Counts = ReadonlyMap<string, Called>;

const inspector = new Session();
inspector.connect();
inspector.post("Profiler.enable");

/** What was called since it was asked last. Within this thread the inspector answers before `post` returns. */
function takeCounts(): Counts {
  const counts = new Map<string, Called>();
  inspector.post("Profiler.takePreciseCoverage", (error, { result }) => {
    if (error) throw error;
    for (const { url, functions } of result) {
      if (!url.startsWith(build)) continue;
      for (const { functionName, ranges } of functions) {
        const [range] = ranges;
        // Field initialisers are functions to V8 alone: nobody has written, reads or calls them.
        if (!range || range.count === 0 || functionName.startsWith("<")) continue;
        const file = url.slice(build.length);
        counts.set(`${file}:${range.startOffset}`, { file, name: functionName || "(closure)", calls: range.count });
      }
    }
  });
  return counts;
}

const callsIn = (counts: Counts): number => [...counts.values()].reduce((sum, { calls }) => sum + calls, 0);
const filesIn = (counts: Counts): number => new Set([...counts.values()].map(({ file }) => file)).size;

// Every statement of postgres.js is a Query, and is sent by `handle`: one that the library executes, and one that is awaited.
const probe = postgres({ host: "127.0.0.1" }).unsafe("select 1");
const queryClass = Object.getPrototypeOf(probe) as { handle(): unknown };
const { handle } = queryClass;
let onHandedOver: (() => void) | null = null;
queryClass.handle = function (this: unknown) {
  onHandedOver?.();
  return handle.call(this);
};

interface Road {
  readonly down: Counts;
  readonly back: Counts;
}

/** The user's call `begin` until the first statement, or until `arrived` is called where it is passed on. */
async function measure(begin: (arrived: () => void) => Promise<unknown>, arrivesItself: boolean): Promise<Road> {
  let down: Counts | null = null;
  const arrived = (): void => {
    down ??= takeCounts();
  };
  takeCounts();
  onHandedOver = arrivesItself ? null : arrived;
  const ended = begin(arrived);
  await ended;
  const back = takeCounts();
  onHandedOver = null;
  if (down === null) throw new Error("no statement was sent");
  return { down, back };
}

interface Act {
  readonly name: string;
  /** What `run` needs, such as a lock that it releases. */
  readonly prepare?: () => Promise<unknown>;
  readonly run: (arrived: () => void) => Promise<unknown>;
  readonly clear?: () => Promise<unknown>;
  /** It ends where it says so, and not at the first statement. */
  readonly arrivesItself?: boolean;
}

async function roadOf({ prepare, run, clear, arrivesItself = false }: Act): Promise<Road> {
  const downs: Counts[] = [];
  const backs: Counts[] = [];
  for (let turn = 0; turn < WARM_UPS + MEASUREMENTS; turn += 1) {
    await prepare?.();
    // What the last call left to do in the background is done by now, and the connections are quiet.
    await new Promise((resolve) => setTimeout(resolve, 20));
    const { down, back } = await measure(run, arrivesItself);
    await clear?.();
    if (turn >= WARM_UPS) {
      downs.push(down);
      backs.push(back);
    }
  }
  return { down: shortest(downs), back: shortest(backs) };
}

function shortest(all: readonly Counts[]): Counts {
  return all.reduce((best, counts) => (callsIn(counts) < callsIn(best) ? counts : best));
}

function list(counts: Counts): void {
  for (const [, { file, name, calls }] of [...counts].sort(([a], [b]) => a.localeCompare(b))) {
    console.log(`    ${String(calls).padStart(3)}  ${file} ${name}`);
  }
}

const keeps = (down: Counts, bound: Goal | undefined): boolean =>
  bound === undefined || (callsIn(down) <= bound.calls && filesIn(down) <= bound.files);

/** Whether the limit is kept, if there is one. */
function print(name: string, { down, back }: Road): boolean {
  const goal = goals[name];
  const wanted = goal === undefined ? "" : `${goal.calls} calls, ${goal.files} files / `;
  const measured = `${callsIn(down)} calls, ${down.size} functions, ${filesIn(down)} files`;
  const isKept = keeps(down, limits[name]);
  const verdict = !isKept ? "LONGER THAN BEFORE" : goal === undefined ? "" : keeps(down, goal) ? "met" : "not met yet";
  console.log(
    `${name.padEnd(20)} ${`${wanted}${measured}`.padStart(56)}   back ${String(callsIn(back)).padStart(3)} calls   ${verdict}`,
  );
  if (values.list) {
    console.log("  down");
    list(down);
    console.log("  back");
    list(back);
  }
  return isKept;
}

const cluster = await startCluster();
const { createLocker } = (await import(`${build}index.js`)) as typeof import("../src/index.js");
const quiet = { statsFlushMs: 3_600_000, sweepEveryMs: 3_600_000 };
const locker = createLocker({ url: cluster.url, ...quiet });
const other = createLocker({ url: cluster.url, ...quiet });
const sql = postgres(cluster.url, { max: 1, onnotice: () => undefined });
try {
  await locker.migrate();
  await other.acquire("held");
  let lock = await locker.acquire("trace");
  const take = async (): Promise<void> => {
    lock = await locker.acquire("trace");
  };
  const free = (): Promise<void> => lock.release();
  await free();

  inspector.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  const acts: readonly Act[] = [
    { name: "acquire, free", run: take, clear: free },
    { name: "tryAcquire, held", run: () => locker.tryAcquire("held") },
    { name: "release", prepare: take, run: () => lock.release() },
    { name: "renew", prepare: take, run: () => lock.renew(), clear: free },
    { name: "check", run: () => locker.check("held") },
    {
      name: "guarded transaction",
      prepare: take,
      run: (arrived) => lock.transaction(sql, arrived),
      clear: free,
      arrivesItself: true,
    },
  ];
  console.log(`${"act".padEnd(20)} ${"goal / measured".padStart(56)}`);
  for (const act of acts) {
    if (!print(act.name, await roadOf(act))) process.exitCode = 1;
  }
} finally {
  await Promise.all([locker.close(), other.close(), sql.end({ timeout: 1 })]);
  await cluster.destroy();
}
