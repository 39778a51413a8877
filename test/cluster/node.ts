// A node: Patroni, and the Postgres that it starts. Others reach it through gates alone, and it reaches etcd through one.
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ClusterFolder, killAll, processesIn, signalAll } from "./folder.js";
import { Gate } from "./gate.js";
import type { Mode } from "./history.js";
import type { Programs } from "./programs.js";

/**
 * What is said of Patroni in docs/guides/high-availability.md. With a `retry_timeout` of 3 s a busy machine demoted its primary again
 * and again, for etcd's disk was slow.
 */
export const patroniSettings = { ttl: 20, loop_wait: 3, retry_timeout: 8 } as const;

export interface NodeOptions {
  readonly name: string;
  readonly mode: Mode;
  readonly password: string;
  readonly etcdPort: number;
  /** Behind the gates. */
  readonly postgresPort: number;
  readonly restPort: number;
}

/** What Patroni says of its own node. */
export interface NodeState {
  readonly state: string;
  readonly role: string;
}

export class ClusterNode {
  readonly name: string;
  readonly postgresPort: number;
  readonly #folder: ClusterFolder;
  readonly #programs: Programs;
  readonly #home: string;
  readonly #restPort: number;
  readonly #gates: { readonly postgres: Gate; readonly rest: Gate; readonly etcd: Gate };
  #patroni: ChildProcess | undefined;

  private constructor(
    folder: ClusterFolder,
    programs: Programs,
    home: string,
    options: NodeOptions,
    gates: ClusterNode["gates"],
  ) {
    this.#folder = folder;
    this.#programs = programs;
    this.#home = home;
    this.name = options.name;
    this.postgresPort = options.postgresPort;
    this.#restPort = options.restPort;
    this.#gates = gates;
    folder.file(`${this.name}.yml`, JSON.stringify(configuration(home, programs, options, gates), null, 2));
  }

  static async make(folder: ClusterFolder, programs: Programs, options: NodeOptions): Promise<ClusterNode> {
    const home = folder.folder(options.name);
    const gates = {
      postgres: await Gate.start(`Postgres ${options.name}`, options.postgresPort),
      rest: await Gate.start(`Patroni ${options.name}`, options.restPort),
      etcd: await Gate.start(`etcd for ${options.name}`, options.etcdPort),
    };
    return new ClusterNode(folder, programs, home, options, gates);
  }

  /** The ports at which the others reach it. */
  get gates(): { readonly postgres: Gate; readonly rest: Gate; readonly etcd: Gate } {
    return this.#gates;
  }

  get configFile(): string {
    return join(this.#folder.path, `${this.name}.yml`);
  }

  /** The last lines of what Patroni and Postgres said. */
  log(lines: number): string {
    const text = readFileSync(join(this.#folder.path, `${this.name}.log`), "utf8");
    return text.split("\n").slice(-lines).join("\n");
  }

  /** Starts Patroni, which starts Postgres. */
  start(): void {
    this.#patroni = this.#folder.start(this.#programs.patroni, [this.configFile], this.#home, `${this.name}.log`);
  }

  /** SIGKILL for both: the node has lost its power. */
  async kill(): Promise<void> {
    // Patroni first, or it would start Postgres again
    this.#patroni?.kill("SIGKILL");
    await killAll(this.#home);
  }

  /** Stops them where they are, as a hypervisor stops a machine. */
  freeze(what: "both" | "Patroni"): void {
    // twice, for the postmaster may have forked before it stood still
    for (let round = 0; round < 2; round += 1) signalAll(this.#processes(what), "SIGSTOP");
  }

  thaw(): void {
    signalAll(this.#processes("both"), "SIGCONT");
  }

  /** Nothing comes in from the other nodes and from HAProxy, and nothing reaches etcd. */
  cutOff(): void {
    for (const gate of Object.values(this.#gates)) gate.shut();
  }

  reconnect(): void {
    for (const gate of Object.values(this.#gates)) gate.open();
  }

  /** What Patroni says past the gates; null when it does not answer. */
  async state(): Promise<NodeState | null> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.#restPort}/patroni`, { signal: AbortSignal.timeout(2_000) });
      return (await answer.json()) as NodeState;
    } catch {
      return null;
    }
  }

  #processes(what: "both" | "Patroni"): readonly number[] {
    // Postgres runs in its data folder, which is below Patroni's
    return processesIn(this.#home, { below: what === "both" });
  }
}

/** As JSON, which is YAML as well. */
function configuration(home: string, programs: Programs, options: NodeOptions, gates: ClusterNode["gates"]): object {
  const { name, mode, password } = options;
  const postgres = { username: "postgres", password };
  return {
    scope: "leasehold",
    name,
    log: { level: "INFO" },
    restapi: { listen: `127.0.0.1:${options.restPort}`, connect_address: `127.0.0.1:${gates.rest.port}` },
    // By etcd's old interface: with the new one, Patroni 3.0 lets a primary that was frozen while it renewed its lead take that back
    // from its successor (`_update_leader` in etcd3.py puts the key without a condition), and all that one had answered is lost.
    // A proxy, or Patroni would ask etcd for its own address and pass by the gate.
    etcd: { hosts: `127.0.0.1:${gates.etcd.port}`, use_proxies: true },
    bootstrap: {
      dcs: {
        ...patroniSettings,
        maximum_lag_on_failover: 1_048_576,
        synchronous_mode: mode === "sync",
        postgresql: {
          use_pg_rewind: true,
          use_slots: true,
          parameters: {
            max_connections: 200,
            shared_buffers: "64MB",
            dynamic_shared_memory_type: "mmap", // in its folder: what is killed leaves nothing elsewhere
            wal_keep_size: "512MB",
            track_commit_timestamp: "on",
          },
        },
      },
      initdb: [{ encoding: "UTF8" }, { locale: "C" }, "data-checksums"],
      pg_hba: [
        "local all all scram-sha-256",
        "host all all 127.0.0.1/32 scram-sha-256",
        "host replication all 127.0.0.1/32 scram-sha-256",
      ],
    },
    postgresql: {
      listen: `127.0.0.1:${options.postgresPort}`,
      connect_address: `127.0.0.1:${gates.postgres.port}`,
      data_dir: join(home, "data"),
      bin_dir: programs.postgres,
      pgpass: join(home, "pgpass"),
      authentication: { superuser: postgres, replication: postgres, rewind: postgres },
      basebackup: [{ checkpoint: "fast" }],
      remove_data_directory_on_rewind_failure: true,
      remove_data_directory_on_diverged_timelines: true,
      parameters: { unix_socket_directories: home, log_line_prefix: "%m [%p] " },
    },
    watchdog: { mode: "off" },
  };
}
