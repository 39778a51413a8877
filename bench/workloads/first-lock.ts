// A process that starts, imports, takes one lock and ends: what a command line or a function in a cloud pays each time.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Entrant } from "../entrants.js";
import { inTurns, type Workload } from "./workload.js";

const run = promisify(execFile);

export const IMPORT = "import";
export const FIRST_LOCK = "from the import to the first grant";

// Without a loader of TypeScript, which would be most of what is measured.
const takeLock = `
  const [entry, url] = process.argv.slice(-2);
  const start = performance.now();
  const { createLocker } = await import(entry);
  const imported = performance.now() - start;
  const locker = createLocker({ url });
  const lock = await locker.acquire("first");
  const granted = performance.now() - start;
  await lock.release();
  await locker.close();
  console.log(JSON.stringify([imported, granted]));`;

const select = `
  const [entry, url] = process.argv.slice(-2);
  const start = performance.now();
  const { default: postgres } = await import(entry);
  const imported = performance.now() - start;
  const sql = postgres(url, { max: 1 });
  await sql\`select 1\`;
  const granted = performance.now() - start;
  await sql.end();
  console.log(JSON.stringify([imported, granted]));`;

export const firstLock: Workload = {
  name: "first-lock",
  about: "import of the library, and the time until a new process has its first lock, beside postgres.js and select 1",
  async run(entrants, { isQuick }, report) {
    const starts = [
      ...entrants.leaseholds.map(({ name, spec }) => ({ name, code: takeLock, args: [spec.entry, spec.url] })),
      { name: "postgres.js, select 1", code: select, args: [import.meta.resolve("postgres"), entrants.cluster.url] },
    ] satisfies { name: Entrant["name"]; code: string; args: string[] }[];
    const results = await inTurns(starts, isQuick ? 5 : 15, async ({ code, args }) => {
      const { stdout } = await run(process.execPath, ["--input-type=module", "-e", code, "--", ...args]);
      return JSON.parse(stdout) as [imported: number, granted: number];
    });
    for (const [part, of] of [IMPORT, FIRST_LOCK].entries()) {
      report(
        starts.map(({ name }, index) => ({
          workload: this.name,
          case: of,
          contender: name,
          unit: "ms",
          isMoreBetter: false,
          samples: (results[index] ?? []).map((times) => times[part] as number),
        })),
      );
    }
  },
};
