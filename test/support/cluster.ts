// Postgres servers of a test's own, made to be stopped, killed, copied and promoted. Nothing here needs vitest.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type postgres from "postgres";
import { changeUrl, openClient } from "./client.js";
import { withFreePort } from "./ports.js";
import { closed, opened } from "./resources.js";
import { embeddedBinaries, type ServerBinaries, serverEnvironment, serverUser } from "./server-binaries.js";
import { copyTemplate, initialise, ServerFolder } from "./server-folder.js";
import { prepareTls } from "./server-tls.js";
import type { Settings } from "./settings.js";
import { makeStandby } from "./standby.js";
import { type ServerTls, transport, usualTls } from "./transport.js";

export interface ClusterOptions {
  /** Settings of the server, such as `{ max_connections: 20 }`. */
  readonly settings?: Settings;
  /** Another version than the embedded one, see `systemBinaries`. */
  readonly binaries?: ServerBinaries;
  /** Clusters of one run are copies of one template, with one system identifier, unless this is set (0.5 s instead of 0.06 s). */
  readonly ownIdentity?: boolean;
  /**
   * It speaks TLS, and refuses who does not; its `url` asks for `sslmode=require`. Default: as this run's tests do
   * (transport.ts). False: without.
   */
  readonly tls?: ServerTls | false;
  /** More of its environment, such as a library to preload. A standby of it has the same. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Its folder is a disk of its own of so many MB, which can be filled. Needs the right to mount. */
  readonly diskMb?: number;
}

export interface Cluster extends AsyncDisposable {
  /** The database `postgres` on it, as superuser. */
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  /** The postmaster's, while it runs. */
  readonly pid: number | undefined;
  /** The last lines of the server's log. */
  readonly log: string;
  /** A client of the database `postgres`, as superuser; it comes back by itself after a restart. Never end it. */
  sql(): Promise<postgres.Sql>;
  /** `settings` replace those with which it ran before. */
  start(settings?: Settings): Promise<void>;
  /** `fast` ends all connections in order; `immediate` is a crash: the next start recovers. */
  stop(mode: "fast" | "immediate"): Promise<void>;
  restart(mode: "fast" | "immediate"): Promise<void>;
  /** A streaming standby. `via` replaces the primary's address in it, for a proxy in between. */
  createStandby(options?: { readonly via?: string; readonly settings?: Settings }): Promise<Standby>;
  destroy(): Promise<void>;
}

export interface Standby extends Cluster {
  /** Waits until it has replayed all that its primary has written until now. */
  caughtUp(): Promise<void>;
  /** It receives nothing any more, until promoted: from here on it lags. */
  stopReceiving(): Promise<void>;
  promote(): Promise<void>;
}

const defaults: Settings = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  dynamic_shared_memory_type: "mmap", // in its folder: what is killed leaves nothing elsewhere
  max_connections: 200,
  shared_buffers: "64MB",
  wal_keep_size: "256MB", // a standby is made without a replication slot
  log_line_prefix: "%m [%p] %q%u@%d/%a ",
  timezone: "UTC",
};

/** How long a restart waits for its port. */
const PORT_MS = 20_000;

export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const binaries = options.binaries ?? (await embeddedBinaries());
  const folder = await ServerFolder.make({ diskMb: options.diskMb });
  try {
    if (options.ownIdentity || options.binaries) await initialise(binaries, folder.path);
    else await copyTemplate(folder.path);
    const password = await readFile(join(folder.path, "password"), "utf8");
    const tls = options.tls ?? (transport() === "tls" ? await usualTls() : false);
    const tlsSettings = tls === false ? undefined : await prepareTls(join(folder.path, "data"), tls);
    const parts = { binaries, folder, password, tlsSettings, environment: options.environment ?? {} };
    return await PostgresCluster.start(new PostgresCluster(parts, options.settings ?? {}));
  } catch (error) {
    await folder.remove();
    throw error;
  }
}

interface ClusterParts {
  readonly binaries: ServerBinaries;
  readonly folder: ServerFolder;
  readonly password: string;
  /** Undefined: it does not speak TLS. */
  readonly tlsSettings: Settings | undefined;
  readonly environment: Readonly<Record<string, string>>;
}

class PostgresCluster implements Standby {
  readonly name: string;
  readonly #parts: ClusterParts;
  #settings: Settings;
  readonly #primary: PostgresCluster | undefined;
  #port = 0;
  #server: ChildProcess | undefined;
  #log = "";
  #client: Promise<postgres.Sql> | undefined;

  constructor(parts: ClusterParts, settings: Settings, of?: PostgresCluster) {
    this.#parts = parts;
    this.#settings = settings;
    this.#primary = of;
    this.name = `cluster in ${parts.folder.path}`;
  }

  /** Finds a port and starts. */
  static async start(cluster: PostgresCluster): Promise<PostgresCluster> {
    await withFreePort(async (port) => {
      cluster.#port = port;
      await cluster.#launch();
    });
    opened(cluster);
    return cluster;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    const address = `postgres://postgres:${this.#parts.password}@127.0.0.1:${this.#port}/postgres`;
    return this.#parts.tlsSettings ? `${address}?sslmode=require` : address;
  }

  get dataDir(): string {
    return join(this.#parts.folder.path, "data");
  }

  get pid(): number | undefined {
    return this.#server?.pid;
  }

  get log(): string {
    return this.#log;
  }

  /** Again on its port, which others know it by. Whoever has taken that meanwhile is waited for. */
  async start(settings: Settings = this.#settings): Promise<void> {
    if (this.#server) throw new Error(`the ${this.name} runs already`);
    this.#settings = settings;
    for (const deadlineMs = performance.now() + PORT_MS; ; ) {
      try {
        return await this.#launch();
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE" || performance.now() > deadlineMs) throw error;
        await sleep(100);
      }
    }
  }

  async #launch(): Promise<void> {
    const all = Object.entries({ ...defaults, ...this.#parts.tlsSettings, ...this.#settings, port: this.#port });
    const server = spawn(
      this.#parts.binaries.postgres,
      ["-D", this.dataDir, ...all.flatMap(([name, value]) => ["-c", `${name}=${value}`])],
      // a process group of its own: Ctrl-C is for the tests, which then stop it in order
      {
        ...serverUser(),
        env: { ...serverEnvironment(), ...this.#parts.environment },
        cwd: this.#parts.folder.path,
        stdio: ["ignore", "ignore", "pipe"],
        detached: true,
      },
    );
    this.#server = server;
    server.once("exit", () => {
      if (this.#server === server) this.#server = undefined;
    });
    await this.#ready(server);
  }

  #ready(server: ChildProcess): Promise<void> {
    return new Promise((resolve, reject) => {
      let output = "";
      const timer = setTimeout(() => fail("was not ready after 60 s"), 60_000);
      const fail = (what: string) => {
        clearTimeout(timer);
        server.kill("SIGKILL");
        const code = output.includes("could not bind") ? "EADDRINUSE" : undefined;
        reject(Object.assign(new Error(`Postgres ${what}:\n${output}`), { code }));
      };
      server.once("error", (error) => fail(`could not be started (${error.message})`));
      server.once("exit", (status, signal) => fail(`ended with ${signal ?? status}`));
      server.stderr?.setEncoding("utf8").on("data", (text: string) => {
        this.#log = (this.#log + text).slice(-100_000);
        if (output.length > 100_000) return;
        output += text;
        if (!/database system is ready to accept( read-only)? connections/.test(output)) return;
        clearTimeout(timer);
        resolve();
      });
    });
  }

  async stop(mode: "fast" | "immediate"): Promise<void> {
    const server = this.#server;
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    const exit = once(server, "exit");
    server.kill(mode === "fast" ? "SIGINT" : "SIGQUIT");
    server.kill("SIGCONT");
    await exit;
  }

  async restart(mode: "fast" | "immediate"): Promise<void> {
    await this.stop(mode);
    await this.start();
  }

  sql(): Promise<postgres.Sql> {
    this.#client ??= openClient(this.url).catch((error) => {
      this.#client = undefined;
      throw error;
    });
    return this.#client;
  }

  async createStandby(options: { readonly via?: string; readonly settings?: Settings } = {}): Promise<Standby> {
    const folder = await ServerFolder.make();
    try {
      const address = options.via ? changeUrl(this.url, addressOf(options.via)) : this.url;
      await makeStandby(await this.sql(), this.dataDir, join(folder.path, "data"), address);
      const settings = options.settings ?? this.#settings;
      const standby = new PostgresCluster({ ...this.#parts, folder }, settings, this);
      return await PostgresCluster.start(standby);
    } catch (error) {
      await folder.remove();
      throw error;
    }
  }

  async caughtUp(): Promise<void> {
    if (!this.#primary) throw new Error("not a standby");
    const primary = await this.#primary.sql();
    const [end] = await primary`select pg_current_wal_flush_lsn()::text as lsn`;
    const sql = await this.sql();
    for (;;) {
      const [at] = await sql`select pg_last_wal_replay_lsn() >= ${end?.lsn}::text::pg_lsn as reached`;
      if (at?.reached) return;
      await sleep(20);
    }
  }

  async stopReceiving(): Promise<void> {
    const sql = await this.sql();
    await sql`alter system set primary_conninfo = ''`;
    await sql`select pg_reload_conf()`;
    while ((await sql`select from pg_stat_wal_receiver`).length > 0) await sleep(20);
  }

  async promote(): Promise<void> {
    const [answer] = await (await this.sql())`select pg_promote(true, 60) as promoted`;
    if (!answer?.promoted) throw new Error(`the standby was not promoted:\n${this.#log}`);
  }

  async destroy(): Promise<void> {
    const client = await this.#client?.catch(() => undefined);
    this.#client = undefined;
    await client?.end({ timeout: 0 }).catch(() => {});
    await this.stop("immediate");
    await this.#parts.folder.remove();
    closed(this);
  }

  dispose(): Promise<void> {
    return this.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.destroy();
  }
}

function addressOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}
