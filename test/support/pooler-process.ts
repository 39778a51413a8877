// A pooler in front of a server, as a process in a folder of its own. What is special about each is in pgbouncer.ts and pgpool.ts.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { changeUrl } from "./client.js";
import { type Guardian, guard } from "./guardian.js";
import { withFreePort } from "./ports.js";
import { closed, opened } from "./resources.js";
import { giveToServer, serverUser } from "./server-binaries.js";

export interface PoolerProgram {
  /** As it calls itself. */
  readonly name: string;
  readonly path: string;
  /** Takes the version out of what `--version` says. */
  readonly version: RegExp;
  /** What it has written to stderr says that it serves. */
  isReady(output: string): boolean;
  /** Ends its process, which this shell script can do as well: the pid is $1. */
  end(process: ChildProcess): void;
  readonly endScript: string;
  /** Writes its files into the folder by `write`, which returns their paths; returns its arguments. */
  configure(folder: PoolerFolder, port: number): Promise<readonly string[]>;
}

export class PoolerFolder {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(kind: string): Promise<PoolerFolder> {
    const path = await mkdtemp(join(tmpdir(), `leasehold-${kind}-`));
    await giveToServer(path);
    return new PoolerFolder(path);
  }

  /** For the pooler alone to read. */
  async write(name: string, text: string): Promise<string> {
    const file = join(this.path, name);
    await writeFile(file, text, { mode: 0o600 });
    await giveToServer(file);
    return file;
  }

  remove(): Promise<void> {
    return rm(this.path, { recursive: true, force: true });
  }
}

export class PoolerProcess implements AsyncDisposable {
  readonly name: string;
  readonly version: string;
  readonly port: number;
  readonly #program: PoolerProgram;
  readonly #process: ChildProcess;
  readonly #folder: PoolerFolder;
  readonly #guardian: Guardian;

  private constructor(
    program: PoolerProgram,
    version: string,
    port: number,
    process: ChildProcess,
    folder: PoolerFolder,
  ) {
    this.name = program.name;
    this.version = version;
    this.port = port;
    this.#program = program;
    this.#process = process;
    this.#folder = folder;
    this.#guardian = guard(`${program.endScript}; rm -rf "$2"`, String(process.pid), folder.path);
    opened(this);
  }

  static async start(program: PoolerProgram, folder: PoolerFolder): Promise<PoolerProcess> {
    try {
      const { stdout, stderr } = await promisify(execFile)(program.path, ["--version"]);
      const version = program.version.exec(stdout + stderr)?.[1] ?? "unknown";
      return await withFreePort(async (port) => {
        const child = spawn(program.path, await program.configure(folder, port), {
          ...serverUser(),
          cwd: folder.path,
          stdio: ["ignore", "ignore", "pipe"],
          detached: true,
        });
        await ready(child, program);
        return new PoolerProcess(program, version, port, child, folder);
      });
    } catch (error) {
      await folder.remove();
      throw error;
    }
  }

  /** The same database, by way of this pooler. */
  url(of: string): string {
    return changeUrl(of, { host: "127.0.0.1", port: this.port });
  }

  async dispose(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const exit = once(this.#process, "exit");
      this.#program.end(this.#process);
      const timer = setTimeout(() => process.kill(-(this.#process.pid ?? 0), "SIGKILL"), 10_000);
      await exit;
      clearTimeout(timer);
    }
    await this.#folder.remove();
    this.#guardian.release();
    closed(this);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

function ready(child: ChildProcess, { name, isReady }: PoolerProgram): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = "";
    const fail = () => {
      const code = /address already in use/i.test(output) ? "EADDRINUSE" : undefined;
      reject(Object.assign(new Error(`${name} did not start:\n${output}`), { code }));
    };
    child.once("error", reject).once("exit", fail);
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      if (output.length < 100_000) output += text;
      if (isReady(output)) resolve();
    });
  });
}
