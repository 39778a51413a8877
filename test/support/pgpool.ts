// Pgpool-II in front of a primary and its standby: a session keeps its server connection on the primary, and statements that only read
// may go to the standby.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { changeUrl } from "./client.js";
import { findProgram } from "./find-program.js";
import { type Guardian, guard } from "./guardian.js";
import { withFreePort } from "./ports.js";
import { closed, opened } from "./resources.js";
import { serverUser } from "./server-binaries.js";
import type { Settings } from "./settings.js";

/** Where reading statements go: one place for a session, or a place for each statement. `off`: to the primary. */
export type LoadBalance = "session" | "statement" | "off";

export interface PgpoolOptions {
  /** Default: session, which is Pgpool's own default. */
  readonly loadBalance?: LoadBalance;
  /** More of pgpool.conf's settings. */
  readonly settings?: Settings;
}

export interface PgpoolServers {
  readonly primary: string;
  /** Without one there is nothing to balance. */
  readonly standby?: string;
}

export class Pgpool implements AsyncDisposable {
  readonly name = "Pgpool-II";
  readonly version: string;
  readonly port: number;
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #guardian: Guardian;

  private constructor(parts: { version: string; port: number; process: ChildProcess; folder: string }) {
    this.version = parts.version;
    this.port = parts.port;
    this.#process = parts.process;
    this.#folder = parts.folder;
    this.#guardian = guard(
      'kill -INT "$1"; sleep 1; kill -KILL "-$1"; rm -rf "$2"',
      `${parts.process.pid}`,
      parts.folder,
    );
    opened(this);
  }

  static async start(program: string, servers: PgpoolServers, options: PgpoolOptions = {}): Promise<Pgpool> {
    const folder = await mkdtemp(join(tmpdir(), "leasehold-pgpool-"));
    const { uid, gid } = serverUser();
    const write = async (name: string, text: string): Promise<string> => {
      const file = join(folder, name);
      await writeFile(file, text, { mode: 0o600 });
      if (uid !== undefined && gid !== undefined) await chown(file, uid, gid);
      return file;
    };
    if (uid !== undefined && gid !== undefined) await chown(folder, uid, gid);
    try {
      const { stdout, stderr } = await promisify(execFile)(program, ["--version"]);
      const version = /version ([\d.]+)/.exec(stdout + stderr)?.[1] ?? "unknown";
      const { username, password } = new URL(servers.primary);
      await write("pool_passwd", `${decodeURIComponent(username)}:TEXT${decodeURIComponent(password)}\n`);
      const [pcp, hba] = [await write("pcp.conf", ""), await write("pool_hba.conf", "")];
      return await withFreePort(async (port) => {
        const file = await write("pgpool.conf", configuration(servers, port, folder, options));
        const process = spawn(program, ["-n", "-f", file, "-F", pcp, "-a", hba], {
          ...serverUser(),
          cwd: folder,
          stdio: ["ignore", "ignore", "pipe"],
          detached: true,
        });
        await ready(process);
        return new Pgpool({ version, port, process, folder });
      });
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
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
      this.#process.kill("SIGINT"); // it ends its children
      const timer = setTimeout(() => process.kill(-(this.#process.pid ?? 0), "SIGKILL"), 10_000);
      await exit;
      clearTimeout(timer);
    }
    await rm(this.#folder, { recursive: true, force: true });
    this.#guardian.release();
    closed(this);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

/** Starts Pgpool-II in front of these servers; undefined where it is not installed, which is said loudly. */
export async function startPgpool(servers: PgpoolServers, options?: PgpoolOptions): Promise<Pgpool | undefined> {
  const program = await findProgram("pgpool");
  if (program !== undefined) return Pgpool.start(program, servers, options);
  console.warn("\n!!! PGPOOL-II IS NOT INSTALLED: its tests do NOT run. Debian: apt-get install pgpool2 !!!\n");
  return undefined;
}

function configuration(servers: PgpoolServers, port: number, folder: string, options: PgpoolOptions): string {
  const { primary, standby } = servers;
  const backends = [primary, ...(standby === undefined ? [] : [standby])].map((url) => new URL(url));
  const { username, password } = new URL(primary);
  const { loadBalance = "session" } = options;
  const settings: Settings = {
    backend_clustering_mode: "streaming_replication",
    listen_addresses: "127.0.0.1",
    port,
    socket_dir: folder,
    pcp_listen_addresses: "",
    pcp_socket_dir: folder,
    pid_file_name: join(folder, "pgpool.pid"),
    logdir: folder,
    work_dir: folder,
    ...Object.fromEntries(
      backends.flatMap(({ hostname, port }, index) => [
        [`backend_hostname${index}`, hostname],
        [`backend_port${index}`, Number(port || 5432)],
        // reads are for the standby, so that one which must not go there is found out
        [`backend_weight${index}`, backends.length > 1 && index === 0 ? 0 : 1],
        [`backend_flag${index}`, "DISALLOW_TO_FAILOVER"],
      ]),
    ),
    num_init_children: 64,
    max_pool: 2,
    sr_check_user: decodeURIComponent(username),
    sr_check_password: decodeURIComponent(password),
    failover_on_backend_error: false,
    load_balance_mode: loadBalance !== "off",
    statement_level_load_balance: loadBalance === "statement",
    ...options.settings,
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name} = ${typeof value === "boolean" ? (value ? "on" : "off") : `'${value}'`}\n`)
    .join("");
}

function ready(process: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = "";
    const fail = () => {
      const code = /address already in use/i.test(output) ? "EADDRINUSE" : undefined;
      reject(Object.assign(new Error(`Pgpool-II did not start:\n${output}`), { code }));
    };
    process.once("error", reject).once("exit", fail);
    process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      if (output.length < 100_000) output += text;
      // it has found out which server is the primary
      if (/pgpool-II successfully started/.test(output) && /find_primary_node: primary node is/.test(output)) resolve();
    });
  });
}
