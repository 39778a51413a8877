// One row of model/rows.txt: Spin makes a program of the model, gcc compiles it, and it searches.
import { spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Finding, files, type Row } from "./rows.js";
import { stepsOf } from "./steps.js";

/** Depth: a search in breadth needs room for the counterexample alone. */
const DEPTH = { bfs: "-m400", dfs: "-m3000000", claim: "-m1000000" };
/** With -N, pan weighs up to this many processes for weak fairness at once. */
const FAIR = "-DNFAIR=6";

/** Runs programs in a folder, each as a process group that can be ended as a whole. */
export class Programs {
  readonly #running = new Set<number>();

  /** Resolves to what it has printed and its exit code, null after a signal. @throws when there is no such program */
  run(
    cwd: string,
    program: string,
    args: readonly string[],
  ): Promise<{ readonly output: string; readonly code: number | null }> {
    return new Promise((resolve, reject) => {
      const child = spawn(program, args, { cwd, detached: true, stdio: ["ignore", "pipe", "pipe"] });
      const { pid } = child;
      if (pid !== undefined) this.#running.add(pid);
      let output = "";
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += String(data)));
      child.on("error", reject);
      child.on("close", (code) => {
        if (pid !== undefined) this.#running.delete(pid);
        resolve({ output, code });
      });
    });
  }

  /** Ends all that still run. */
  end(): void {
    for (const pid of this.#running) {
      try {
        process.kill(-pid, "SIGKILL");
      } catch {
        // it has just ended
      }
    }
  }
}

export interface Checked {
  readonly finding: Finding;
  /** One line for each step of the counterexample; empty unless they are asked for. */
  readonly steps: readonly string[];
}

/** `work`: a folder to build in. `models`: where the .pml files are. `limitSeconds`: for the search. */
export async function checkRow(
  row: Row,
  {
    programs,
    work,
    models,
    limitSeconds,
    withSteps,
  }: {
    readonly programs: Programs;
    readonly work: string;
    readonly models: string;
    readonly limitSeconds: number;
    readonly withSteps: boolean;
  },
): Promise<Checked> {
  const folder = join(work, `${row.model}-${row.name}`);
  mkdirSync(folder);
  copyFileSync(join(models, files[row.model] as string), join(folder, "m.pml"));
  const isClaim = row.search !== "bfs" && row.search !== "dfs";
  const defines = [...(isClaim ? ["-DLIVE"] : []), ...row.defines];
  const run = (program: string, ...args: readonly string[]) => programs.run(folder, program, args);

  const made = await run("spin", ...defines, "-a", "m.pml");
  if (made.code !== 0 || !existsSync(join(folder, "pan.c")))
    throw new Error(`Spin refuses ${row.model} ${row.name}: ${made.output}`);
  const kind = isClaim ? [FAIR] : ["-DSAFETY", "-DNOCLAIM", ...(row.search === "bfs" ? ["-DBFS"] : [])];
  // To optimise takes longer than a short search.
  const level = row.isShort ? "-O0" : "-O2";
  const compiled = await run(
    "gcc",
    level,
    "-w",
    "-DVECTORSZ=2048",
    "-DCOLLAPSE",
    "-DMEMLIM=9000",
    ...kind,
    "-o",
    "pan",
    "pan.c",
  );
  if (compiled.code !== 0) throw new Error(`gcc refuses ${row.model} ${row.name}: ${compiled.output}`);

  // In A and B somebody can always go on; elsewhere all may stop.
  const depth = isClaim ? DEPTH.claim : row.search === "bfs" ? DEPTH.bfs : DEPTH.dfs;
  const flags = [depth, ...(isClaim ? ["-a", "-f", "-N", row.search] : []), ...(/[AB]/.test(row.model) ? [] : ["-E"])];
  // bash tells the processor's time. In the foreground: timeout would leave the process group that `Programs.end` ends.
  const script = `TIMEFORMAT='cpu %U'; time timeout --foreground -s INT "$0" ./pan "$@" 2>&1`;
  const { output } = await run("bash", "-c", script, String(limitSeconds), ...flags);
  const trail = () => run("spin", ...defines, "-t", "-p", "-g", "m.pml");
  const violated = await violation(row, output, folder, async () => (await trail()).output);
  const finding = {
    violated,
    steps: violated === null ? null : Number(/depth reached (\d+), errors: [1-9]/.exec(output)?.[1]),
    states: /([\d.e+]+) states, stored/.exec(output)?.[1] ?? "",
    cpuSeconds: /^cpu (.+)$/m.exec(output)?.[1] ?? "",
    megabytes: /(\d+)[.\d]*\ttotal actual memory/.exec(output)?.[1] ?? "",
    isComplete: /errors: 0/.test(output) && !/not completed|max search depth/.test(output),
  };
  const steps = withSteps && violated !== null ? stepsOf((await trail()).output) : [];
  rmSync(folder, { recursive: true });
  return { finding, steps };
}

/** The words in the comment beside the assertion, or the name of the claim. */
async function violation(
  row: Row,
  output: string,
  folder: string,
  trail: () => Promise<string>,
): Promise<string | null> {
  if (/acceptance cycle/.test(output)) return row.search;
  if (!/assertion violated/.test(output)) return null;
  const line = Number(/m\.pml:(\d+), Error: assertion violated/.exec(await trail())?.[1]);
  const text = readFileSync(join(folder, "m.pml"), "utf8").split("\n")[line - 1] ?? "";
  return /.*\/\* (.*?) \*\//.exec(text)?.[1] ?? `the assertion in line ${line}`;
}
