// Three nodes, one etcd, and HAProxy in front, all on the loopback address.
import { type ChildProcess, execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { promisify } from "node:util";
import type postgres from "postgres";
import { openClient } from "../support/client.js";
import { migrate } from "../support/migrate.js";
import { serverEnvironment, serverUser } from "../support/server-binaries.js";
import { until } from "../support/until.js";
import { ClusterFolder, ended } from "./folder.js";
import type { Mode } from "./history.js";
import { ClusterNode } from "./node.js";
import { freePorts } from "./ports.js";
import type { Programs } from "./programs.js";

/** One of those that Patroni's REST API lists. */
interface Member {
  readonly name: string;
  readonly role: string;
  readonly state: string;
  readonly timeline?: number;
  readonly lag?: number | "unknown";
}

const patienceMs = 180_000;

/** The cluster did not do what it is there for: nothing is known of locks. */
export class NotInOrder extends Error {}

export class HighlyAvailable implements AsyncDisposable {
  readonly mode: Mode;
  readonly nodes: readonly ClusterNode[];
  readonly #folder: ClusterFolder;
  readonly #programs: Programs;
  readonly #ports: { readonly etcd: number; readonly etcdPeer: number; readonly haproxy: number };
  readonly #password: string;
  #etcd: ChildProcess | undefined;
  #haproxy: ChildProcess | undefined;

  private constructor(
    parts: Pick<HighlyAvailable, "mode" | "nodes"> & {
      folder: ClusterFolder;
      programs: Programs;
      ports: { etcd: number; etcdPeer: number; haproxy: number };
      password: string;
    },
  ) {
    this.mode = parts.mode;
    this.nodes = parts.nodes;
    this.#folder = parts.folder;
    this.#programs = parts.programs;
    this.#ports = parts.ports;
    this.#password = parts.password;
  }

  /** With the schema of leases in the database `postgres`. */
  static async start(programs: Programs, mode: Mode): Promise<HighlyAvailable> {
    const folder = await ClusterFolder.make();
    const [etcd = 0, etcdPeer = 0, haproxy = 0, ...rest] = await freePorts(9);
    const password = randomBytes(12).toString("hex");
    const nodes: ClusterNode[] = [];
    for (const name of ["a", "b", "c"]) {
      const [postgresPort = 0, restPort = 0] = rest.splice(0, 2);
      const options = { name, mode, password, etcdPort: etcd, postgresPort, restPort };
      nodes.push(await ClusterNode.make(folder, programs, options));
    }
    const parts = { mode, nodes, folder, programs, ports: { etcd, etcdPeer, haproxy }, password };
    const cluster = new HighlyAvailable(parts);
    try {
      await cluster.#start();
      return cluster;
    } catch (error) {
      await cluster.dispose();
      throw error;
    }
  }

  async #start(): Promise<void> {
    for (const name of ["etcd", "haproxy"]) this.#folder.folder(name);
    this.startEtcd();
    // the first one makes the database, the others copy it
    const [first, ...others] = this.nodes;
    first?.start();
    await this.waitForPrimary();
    for (const node of others) node.start();
    this.#folder.file("haproxy.cfg", this.#haproxyConfiguration());
    this.startHaproxy();
    await this.healthy();
    await migrate(this.url);
  }

  /** By way of HAProxy. */
  get url(): string {
    return this.#url(`127.0.0.1:${this.#ports.haproxy}`);
  }

  /** Straight to the nodes, past their gates: whoever uses it is on the same side of a cut as the node. */
  get urlOfHosts(): string {
    const hosts = this.nodes.map(({ postgresPort }) => `127.0.0.1:${postgresPort}`).join(",");
    return `${this.#url(hosts)}?target_session_attrs=read-write`;
  }

  urlOf(node: ClusterNode): string {
    return this.#url(`127.0.0.1:${node.postgresPort}`);
  }

  startEtcd(): void {
    const client = `http://127.0.0.1:${this.#ports.etcd}`;
    const peer = `http://127.0.0.1:${this.#ports.etcdPeer}`;
    const args = [
      ...["--enable-v2", "--name", "only", "--data-dir", `${this.#folder.path}/etcd/data`],
      ...["--listen-client-urls", client, "--advertise-client-urls", client],
      ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", `only=${peer}`],
    ];
    this.#etcd = this.#folder.start(this.#programs.etcd, args, `${this.#folder.path}/etcd`, "etcd.log");
  }

  async killEtcd(): Promise<void> {
    this.#etcd?.kill("SIGKILL");
    if (this.#etcd) await ended(this.#etcd);
  }

  startHaproxy(): void {
    const args = ["-db", "-f", `${this.#folder.path}/haproxy.cfg`];
    this.#haproxy = this.#folder.start(this.#programs.haproxy, args, `${this.#folder.path}/haproxy`, "haproxy.log");
  }

  async killHaproxy(): Promise<void> {
    this.#haproxy?.kill("SIGKILL");
    if (this.#haproxy) await ended(this.#haproxy);
  }

  /** The node that says it is the primary, other than `but`. */
  async primary(but?: ClusterNode): Promise<ClusterNode | null> {
    for (const node of this.nodes) {
      if (node === but) continue;
      const { role, state } = (await node.state()) ?? {};
      // "master" in Patroni 3, "primary" from 4 on
      if (state === "running" && (role === "master" || role === "primary")) return node;
    }
    return null;
  }

  async waitForPrimary(but?: ClusterNode): Promise<ClusterNode> {
    return await until("there is a primary", () => this.primary(but), { timeoutMs: patienceMs }).catch(this.explain);
  }

  /** Waits until one node leads, two follow it closely (one of them in step, if so wanted), and HAProxy leads to the first. */
  async healthy(): Promise<void> {
    await until("all nodes are in order", () => this.#isHealthy(), { timeoutMs: patienceMs }).catch(this.explain);
  }

  /** As `healthy`, but not yet safe against the next fault: Patroni may take minutes to name a standby that is in step again. */
  async mended(): Promise<void> {
    await until("all nodes run again", () => this.#isMended(), { timeoutMs: patienceMs }).catch(this.explain);
  }

  /** Runs patronictl, and returns what it says. */
  async patronictl(...args: readonly string[]): Promise<string> {
    const [node] = this.nodes;
    const { stdout } = await promisify(execFile)(this.#programs.patronictl, ["-c", node?.configFile ?? "", ...args], {
      ...serverUser(),
      cwd: this.#folder.path,
      env: { ...serverEnvironment(), HOME: this.#folder.path, LC_ALL: "C.UTF-8" },
    });
    return stdout;
  }

  /** A client of the primary, by way of HAProxy. End it. */
  client(): Promise<postgres.Sql> {
    return openClient(this.url);
  }

  async dispose(): Promise<void> {
    await this.#folder.dispose();
    for (const { gates } of this.nodes) for (const gate of Object.values(gates)) await gate.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  readonly explain = (error: unknown): never => {
    const logs = this.nodes.map((node) => `--- ${node.name}\n${node.log(15)}`).join("\n");
    throw new NotInOrder(`${error instanceof Error ? error.message : error}\n${logs}`);
  };

  async #isHealthy(): Promise<boolean> {
    const members = await this.#members();
    const isInStep = this.mode === "async" || members.some(({ role }) => role === "sync_standby");
    return isInStep && (await this.#isMended());
  }

  async #isMended(): Promise<boolean> {
    const members = await this.#members();
    const followers = members.filter(({ role }) => role !== "leader");
    const timeline = members.find(({ role }) => role === "leader")?.timeline;
    const areFollowing = followers.every(
      ({ state, lag, timeline: own }) =>
        ["running", "streaming"].includes(state) && own === timeline && lag !== "unknown" && (lag ?? 0) < 1_000_000,
    );
    return members.length === 3 && followers.length === 2 && areFollowing && (await this.#isServed());
  }

  async #members(): Promise<readonly Member[]> {
    const primary = await this.primary();
    if (primary === null) return [];
    try {
      const answer = await fetch(`http://127.0.0.1:${primary.gates.rest.port}/cluster`, {
        signal: AbortSignal.timeout(2_000),
      });
      return ((await answer.json()) as { members: Member[] }).members;
    } catch {
      return [];
    }
  }

  async #isServed(): Promise<boolean> {
    try {
      const sql = await this.client();
      const [row] = await sql`select pg_is_in_recovery() as standby`.finally(() => sql.end({ timeout: 1 }));
      return row?.standby === false;
    } catch {
      return false;
    }
  }

  #url(hosts: string): string {
    return `postgres://postgres:${this.#password}@${hosts}/postgres`;
  }

  /** What docs/guides/high-availability.md shows. */
  #haproxyConfiguration(): string {
    const servers = this.nodes.map(
      ({ name, gates }) => `  server ${name} 127.0.0.1:${gates.postgres.port} check port ${gates.rest.port}`,
    );
    return `defaults
  mode tcp
  timeout connect 2s
  timeout check 2s
  timeout client 30m
  timeout server 30m
listen primary
  bind 127.0.0.1:${this.#ports.haproxy}
  option httpchk OPTIONS /primary
  http-check expect status 200
  default-server inter 1s fall 2 rise 1 on-marked-down shutdown-sessions
${servers.join("\n")}
`;
  }
}
