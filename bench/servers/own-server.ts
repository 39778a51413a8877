// Redis and etcd for one run: a process in a temporary folder on a loopback port. It ends with the run, however that ends.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Guardian, guard } from "../../test/support/guardian.js";
import { withFreePort } from "../../test/support/ports.js";
import { closed, opened, type Resource } from "../../test/support/resources.js";

export interface ServerProgram {
  readonly name: string;
  readonly program: string;
  /** Where Debian has it, for the message when it is missing. */
  readonly debianPackage: string;
  arguments(port: number, folder: string): readonly string[];
  /** Matches what it writes once it listens. */
  readonly ready: RegExp;
}

export class OwnServer implements Resource {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  readonly version: string;
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #guardian: Guardian;

  private constructor(what: ServerProgram, child: ChildProcess, port: number, folder: string) {
    this.name = `${what.name}, pid ${child.pid}`;
    this.port = port;
    this.pid = child.pid ?? 0;
    this.version = versionOf(what);
    this.#child = child;
    this.#folder = folder;
    this.#guardian = guard('kill -KILL "$1" 2>/dev/null; rm -rf "$2"', String(child.pid), folder);
    opened(this);
  }

  /** @throws {Error} that says why it cannot be had here */
  static start(what: ServerProgram): Promise<OwnServer> {
    if (versionOf(what) === "") {
      throw new Error(`${what.program} is not installed (Debian: apt-get install ${what.debianPackage})`);
    }
    return withFreePort(async (port) => {
      const folder = await mkdtemp(join(tmpdir(), "leasehold-bench-"));
      // of its own process group: Ctrl-C goes to this process, which then ends it in order
      const child = spawn(what.program, [...what.arguments(port, folder)], {
        cwd: folder,
        stdio: ["ignore", "pipe", "pipe"],
        detached: true,
      });
      child.on("error", () => {});
      const server = new OwnServer(what, child, port, folder);
      try {
        await isReady(what, child);
        return server;
      } catch (error) {
        await server.dispose();
        throw error;
      }
    });
  }

  async dispose(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null && this.#child.pid !== undefined) {
      const exit = once(this.#child, "exit");
      this.#child.kill("SIGKILL"); // its data goes with it
      await exit;
    }
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
    this.#guardian.release();
    closed(this);
  }
}

function versionOf({ program }: ServerProgram): string {
  try {
    const text = execFileSync(program, ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    return /\d+\.\d+(\.\d+)?/.exec(text)?.[0] ?? "";
  } catch {
    return "";
  }
}

async function isReady(what: ServerProgram, child: ChildProcess): Promise<void> {
  let output = "";
  const collect = (text: string) => {
    if (output.length < 100_000) output += text;
  };
  child.stdout?.setEncoding("utf8").on("data", collect);
  child.stderr?.setEncoding("utf8").on("data", collect);
  for (const start = performance.now(); !what.ready.test(output); await sleep(20)) {
    const hasEnded = child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
    if (!hasEnded && performance.now() - start < 30_000) continue;
    const isPortTaken = /address already in use/i.test(output);
    throw Object.assign(
      new Error(`${what.name} did not start: ${output.trim().slice(-300)}`),
      isPortTaken && { code: "EADDRINUSE" },
    );
  }
}
