// Who takes part in a run: starts the servers, and says of whom it cannot have why.
import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { changeUrl } from "../test/support/client.js";
import { type Cluster, startCluster } from "../test/support/cluster.js";
import type { BenchArguments } from "./arguments.js";
import type { ContenderSpec, FloorStatement } from "./contenders/contender.js";
import { MOST_CONNECTIONS } from "./contenders/postgres.js";
import { installPeers, missingPackages } from "./install.js";
import type { LeftOut } from "./results.js";
import { OwnServer } from "./servers/own-server.js";
import { durableRedis, etcd, redis } from "./servers/programs.js";

export interface Entrant {
  readonly name: string;
  readonly spec: ContenderSpec;
  /** Of the server that it uses. */
  readonly serverPids: readonly number[];
  /** More than these at once it cannot do. */
  readonly mostInFlight: number;
  /** Whether it can wait for a key. */
  readonly doesWait: boolean;
}

export type Leasehold = Entrant & { readonly spec: Extract<ContenderSpec, { kind: "leasehold" }> };

interface PeerKind {
  readonly name: string;
  readonly kind: Exclude<ContenderSpec["kind"], "leasehold" | "floor">;
  readonly server: "redis" | "durable redis" | "etcd" | "postgres";
  /** Which it needs in bench/node_modules. */
  readonly packages: readonly string[];
  readonly mostInFlight?: number;
  readonly doesWait?: boolean;
  /** Left out of a quick run unless it is asked for. */
  readonly isMinor?: boolean;
}

const peerKinds: readonly PeerKind[] = [
  { name: "redlock", kind: "redlock", server: "redis", packages: ["redlock", "ioredis"] },
  { name: "redlock-fsync", kind: "redlock", server: "durable redis", packages: ["redlock", "ioredis"] },
  { name: "redlock-universal", kind: "redlock-universal", server: "redis", packages: ["redlock-universal", "ioredis"] },
  {
    name: "redlock-universal-fsync",
    kind: "redlock-universal",
    server: "durable redis",
    packages: ["redlock-universal", "ioredis"],
    isMinor: true,
  },
  {
    name: "sesamecare",
    kind: "sesamecare",
    server: "redis",
    packages: ["@sesamecare-oss/redlock", "ioredis"],
    isMinor: true,
  },
  {
    name: "sesamecare-fsync",
    kind: "sesamecare",
    server: "durable redis",
    packages: ["@sesamecare-oss/redlock", "ioredis"],
    isMinor: true,
  },
  { name: "etcd3", kind: "etcd3", server: "etcd", packages: ["etcd3"], doesWait: false },
  {
    name: "advisory-lock",
    kind: "advisory-lock",
    server: "postgres",
    packages: ["advisory-lock"],
    mostInFlight: MOST_CONNECTIONS,
  },
  { name: "table-lock", kind: "table-lock", server: "postgres", packages: [], mostInFlight: MOST_CONNECTIONS },
];

export const peerNames: readonly string[] = peerKinds.map(({ name }) => name);

const programs = { redis, "durable redis": durableRedis, etcd } as const;

const TMPFS = 0x01021994;
const ROWS_OF_TABLE_LOCK = 4_096;

export class Entrants {
  readonly leftOut: LeftOut[] = [];
  readonly cluster: Cluster;
  /** The build under test, and the other one. */
  leaseholds: readonly Leasehold[] = [];
  peers: readonly Entrant[] = [];
  readonly about: Record<string, string | number | boolean> = {};
  readonly #args: BenchArguments;

  private constructor(args: BenchArguments, cluster: Cluster) {
    this.#args = args;
    this.cluster = cluster;
  }

  static async start(args: BenchArguments): Promise<Entrants> {
    // All tables fit into memory, and no checkpoint falls into a window: the next change of each page would write all of it to the log.
    const settings = {
      shared_buffers: "1GB",
      max_wal_size: "4GB",
      checkpoint_timeout: "30min",
      max_connections: 600,
    };
    const entrants = new Entrants(args, await startCluster({ settings, tls: false }));
    await entrants.#prepare();
    return entrants;
  }

  get postgresPid(): number {
    return this.cluster.pid ?? 0;
  }

  floor(name: string, statement: FloorStatement): Entrant {
    return this.#entrant(name, { kind: "floor", url: this.cluster.url, statement }, [this.postgresPid], 1);
  }

  /** Each build in a database of its own: it brings its own SQL. */
  async databasesFor(purpose: string, options?: Readonly<Record<string, number>>): Promise<Leasehold[]> {
    const builds = [{ name: "leasehold", folder: fileURLToPath(new URL("../", import.meta.url)) }];
    if (this.#args.against !== null) builds.push({ name: "against", folder: this.#args.against });
    const made: Leasehold[] = [];
    for (const { name, folder } of builds) {
      const database = `${name}_${purpose}`;
      await (await this.cluster.sql()).unsafe(`create database ${database}`);
      const url = changeUrl(this.cluster.url, { database });
      const file = join(folder, "dist", "index.js");
      if (!existsSync(file)) throw new Error(`${file} is not there: build that checkout first (npm run build)`);
      const entry = pathToFileURL(file).href;
      const { createLocker } = (await import(entry)) as typeof import("../src/index.js");
      const locker = createLocker({ url });
      await locker.migrate();
      await locker.close();
      const spec = { kind: "leasehold", url, entry, ...(options && { options }) } as const;
      made.push({ ...this.#entrant(name, spec, [this.postgresPid]), spec });
    }
    return made;
  }

  async #prepare(): Promise<void> {
    await this.#checkDurability();
    const sql = await this.cluster.sql();
    await sql.unsafe(`
      create schema bench;
      create table bench.floor (id int primary key, n bigint not null) with (fillfactor = 50);
      insert into bench.floor values (1, 0);
      create table bench.locks (key text primary key);
      insert into bench.locks select 'bench:' || i from generate_series(0, ${ROWS_OF_TABLE_LOCK} - 1) i;
      insert into bench.locks values ('hot:key'), ('held-table-lock:0'), ('takeover:0')`);
    this.leaseholds = await this.databasesFor("main");
    this.peers = await this.#startPeers();
  }

  async #checkDurability(): Promise<void> {
    const sql = await this.cluster.sql();
    for (const name of ["fsync", "synchronous_commit", "full_page_writes"]) {
      const [row] = await sql.unsafe(`show ${name}`);
      if (row?.[name] !== "on") throw new Error(`${name} is ${row?.[name]}: what is measured here are durable grants`);
    }
    const [row] = await sql`show server_version`;
    this.about.postgres = String(row?.server_version);
    const isInMemory = (await statfs(tmpdir())).type === TMPFS;
    this.about.temporaryFolder = isInMemory ? "in memory" : "on a disk";
    if (isInMemory) {
      this.#leaveOut(
        "the cost of a disk",
        `${tmpdir()} is in memory, so what is durable costs nothing; set TMPDIR to a folder on a disk`,
      );
    }
  }

  async #startPeers(): Promise<Entrant[]> {
    const { peers, isQuick } = this.#args;
    const wanted = peerKinds.filter(({ name, isMinor }) => peers?.includes(name) ?? !(isQuick && isMinor));
    for (const { name } of peerKinds.filter((kind) => peers === null && !wanted.includes(kind))) {
      this.#leaveOut(name, "a quick run takes less of the kind; ask for it with --peers");
    }
    const failure = wanted.some(({ packages }) => packages.length > 0) ? installPeers() : null;
    const missing = missingPackages();
    const servers = new Map<PeerKind["server"], OwnServer | string>();
    const entrants: Entrant[] = [];
    for (const { name, kind, server, packages, mostInFlight, doesWait } of wanted) {
      if (packages.some((one) => missing.includes(one))) {
        this.#leaveOut(name, failure ?? "its package is not installed");
        continue;
      }
      if (server === "postgres") {
        const spec = { kind, url: this.cluster.url } as ContenderSpec;
        entrants.push(this.#entrant(name, spec, [this.postgresPid], mostInFlight, doesWait));
        continue;
      }
      let started = servers.get(server);
      if (started === undefined) {
        started = await OwnServer.start(programs[server]).catch((error: Error) => error.message);
        servers.set(server, started);
        if (typeof started !== "string") this.about[server] = started.version;
      }
      if (typeof started === "string") this.#leaveOut(name, started);
      else
        entrants.push(
          this.#entrant(name, { kind, port: started.port } as ContenderSpec, [started.pid], mostInFlight, doesWait),
        );
    }
    return entrants;
  }

  #entrant(
    name: string,
    spec: ContenderSpec,
    serverPids: readonly number[],
    mostInFlight = Number.POSITIVE_INFINITY,
    doesWait = true,
  ): Entrant {
    return { name, spec, serverPids, mostInFlight, doesWait };
  }

  #leaveOut(what: string, why: string): void {
    this.leftOut.push({ what, why });
    console.log(`left out: ${what}: ${why}`);
  }
}
