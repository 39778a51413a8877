// Tears down connections of our own at random moments, in every way in which that happens, and looks at what must hold all the
// same: nothing ends the process, every statement settles, nothing reconnects, nothing is left.
import { join } from "node:path";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import type { ConnectionTarget, Ssl } from "../../src/config/connection-url.js";
import { Link } from "../../src/postgres/connection/link.js";
import { LinkClosed } from "../../src/postgres/connection/link-closed.js";
import { randomFrom } from "../support/random.js";
import { until } from "../support/until.js";
import { openHandles } from "../support/watch.js";
import { type Harm, impostures, Saboteur } from "./saboteur.js";
import { roles, type StormServer } from "./server.js";

export type Transport = "tcp" | "unix" | "tls";

export interface StormOptions {
  readonly server: StormServer;
  readonly transport: Transport;
  readonly tearDowns: number;
  readonly seed: number;
  /** At the same time. Default: 24. */
  readonly parallel?: number;
  readonly onProgress?: (done: number) => void;
}

export interface StormReport {
  readonly tearDowns: number;
  readonly statements: number;
  readonly answered: number;
  /** What must not be. */
  readonly faults: readonly string[];
}

const ways = {
  destroy: 4,
  "after an answer": 4,
  end: 3,
  "end and destroy": 1,
  kill: 2,
  reset: 4,
  fin: 3,
  hole: 3,
  garbage: 1,
  impostor: 2,
  "no such database": 1,
  "no such role": 1,
  "wrong password": 1,
  "bad password function": 2,
  "bad certificate": 1,
} as const;
type Way = keyof typeof ways;
const urn = (Object.keys(ways) as Way[]).flatMap((way) => Array<Way>(ways[way]).fill(way));

/** Statements of all kinds that postgres.js treats in a way of its own. */
const texts = [
  "select pg_backend_pid() as pid",
  "select pg_backend_pid() as pid, pg_sleep(0.01)",
  `select pg_backend_pid() as pid, repeat('x', 20000) as much`,
  "select 1 / 0",
  "do $$ begin raise notice 'a notice'; end $$; select pg_backend_pid() as pid",
  "listen storm; select pg_notify('storm', '')",
];

const badPasswords = [
  () => Promise.reject(new Error("refused")),
  () => {
    throw new Error("thrown");
  },
  () => 7 as unknown as string,
  () => new Promise<string>(() => {}),
];

const application = "leasehold storm";

export async function storm(options: StormOptions): Promise<StormReport> {
  const faults: string[] = [];
  const onError = (error: unknown): void => void faults.push(`process error: ${(error as Error)?.stack ?? error}`);
  const onWarning = (warning: Error): void => void faults.push(`process warning: ${warning.message}`);
  process.on("uncaughtException", onError).on("unhandledRejection", onError).on("warning", onWarning);
  const sql = await options.server.cluster.sql();
  const before = new Set(openHandles().keys());
  const counts = { statements: 0, answered: 0 };
  try {
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < options.tearDowns) {
        const number = next++;
        await new TearDown(options, number, counts, faults).run();
        options.onProgress?.(number + 1);
      }
    };
    await Promise.all(Array.from({ length: options.parallel ?? 24 }, worker));
    const backends = () => sql`select pid, state, query from pg_stat_activity where application_name = ${application}`;
    await until("no backend is left", async () => (await backends()).length === 0).catch(async () =>
      faults.push(`backends left: ${JSON.stringify(await backends())}`),
    );
    const handles = () => [...openHandles()].filter(([handle]) => !before.has(handle)).map(([, name]) => name());
    await until("no socket or timer is left", () => handles().length === 0).catch(() =>
      faults.push(...handles().map((name) => `left: ${name}`)),
    );
  } finally {
    process.off("uncaughtException", onError).off("unhandledRejection", onError).off("warning", onWarning);
  }
  return { tearDowns: options.tearDowns, ...counts, faults };
}

class TearDown {
  readonly #options: StormOptions;
  readonly #number: number;
  readonly #counts: { statements: number; answered: number };
  readonly #faults: string[];
  readonly #random: () => number;
  readonly #way: Way;
  readonly #pids = new Set<unknown>();
  #unsettled = 0;
  #closes = 0;

  constructor(
    options: StormOptions,
    number: number,
    counts: { statements: number; answered: number },
    faults: string[],
  ) {
    this.#options = options;
    this.#number = number;
    this.#counts = counts;
    this.#faults = faults;
    this.#random = randomFrom(options.seed + number * 7_919);
    this.#way = this.#one(urn);
  }

  async run(): Promise<void> {
    const { server } = this.#options;
    const saboteur = await this.#saboteur();
    const link = new Link({
      target: this.#target(saboteur),
      host: this.#isUnix ? null : { host: "127.0.0.1", port: saboteur?.port ?? server.port },
      applicationName: application,
      prepare: this.#random() < 0.5,
    });
    link.onClose(() => {
      this.#closes += 1;
    });
    const first = this.#ask(link, texts[0] ?? "");
    const traffic = this.#traffic(link, first);
    await this.#tear(link, first);
    link.destroy();
    await turn();
    this.#expect(this.#unsettled === 0, `${this.#unsettled} statements never settled`);
    await traffic;
    this.#expect(link.isDead && this.#closes === 1, `closed ${this.#closes} times`);
    this.#expect(this.#pids.size <= 1 && (saboteur?.accepted ?? 0) <= 1, "reconnected by itself");
    const late = await link.query("select 1").catch((error: unknown) => error);
    this.#expect(late instanceof LinkClosed, "a dead connection answered");
    saboteur?.close();
  }

  async #tear(link: Link, first: Promise<void>): Promise<void> {
    // Within the dialling or the login; within the traffic, or when all is quiet.
    const mayBeSilent = ["hole", "garbage", "impostor", "bad password function"].includes(this.#way);
    if (this.#random() < 0.7) await (mayBeSilent ? Promise.race([first, sleep(300)]) : first);
    const moment = this.#one([5, 20, 60, 300]) * this.#random();
    switch (this.#way) {
      case "after an answer":
        await first;
        for (let ticks = Math.floor(this.#random() * 6); ticks > 0; ticks -= 1) await null;
        return;
      case "end":
        await sleep(moment);
        return await link.end();
      case "end and destroy": {
        await sleep(moment);
        const ended = link.end();
        await sleep(this.#random() * 3);
        link.destroy();
        return await ended;
      }
      case "kill": {
        await first;
        await sleep(moment);
        const sql = await this.#options.server.cluster.sql();
        for (const pid of this.#pids) await sql`select pg_terminate_backend(${pid as number})`;
        return await sleep(this.#random() * 10);
      }
      default:
        await sleep(moment);
    }
  }

  async #traffic(link: Link, first: Promise<void>): Promise<void> {
    if (this.#random() < 0.5) {
      await first;
      link.pipeline();
    }
    for (let burst = 0; burst < 4 && !link.isDead; burst += 1) {
      for (let count = 0; count < 4; count += 1) {
        const hasParameter = this.#random() < 0.3;
        void this.#ask(
          link,
          hasParameter ? "select pg_backend_pid() as pid, $1::text" : this.#one(texts),
          hasParameter,
        );
      }
      await sleep(this.#random() * 8);
    }
  }

  #ask(link: Link, text: string, hasParameter = false): Promise<void> {
    this.#counts.statements += 1;
    this.#unsettled += 1;
    return link.query(text, hasParameter ? ["a parameter"] : []).then(
      (rows) => {
        this.#unsettled -= 1;
        this.#counts.answered += 1;
        const pid = rows[0]?.pid;
        if (pid !== undefined) this.#pids.add(pid);
      },
      () => {
        this.#unsettled -= 1;
      },
    );
  }

  get #isUnix(): boolean {
    return this.#options.transport === "unix";
  }

  async #saboteur(): Promise<Saboteur | null> {
    const { server, transport } = this.#options;
    const path = this.#isUnix ? join(server.path, "..", `storm-${this.#number}`) : undefined;
    if (this.#way === "impostor") {
      return await Saboteur.impostor(this.#one(Object.values(impostures)), path);
    }
    if (!["reset", "fin", "hole", "garbage"].includes(this.#way)) return null;
    // Half of them within the handshakes: TLS takes about 1,000 bytes of the server, a login 500.
    const bytes = Math.floor(
      this.#random() * this.#one(transport === "tls" ? [2, 1_000, 2_000, 60_000] : [500, 60_000]),
    );
    return await Saboteur.start(
      this.#isUnix ? { path: server.path } : { port: server.port },
      this.#way as Harm,
      bytes,
      path,
    );
  }

  #target(saboteur: Saboteur | null): ConnectionTarget {
    const { server, transport } = this.#options;
    const role = this.#one(roles);
    const path = saboteur === null ? server.path : join(server.path, "..", `storm-${this.#number}`);
    return {
      hosts: [],
      path: this.#isUnix ? path : null,
      database: this.#way === "no such database" ? "missing" : "postgres",
      user: this.#way === "no such role" ? "nobody" : role,
      password: this.#password(role),
      // A server never takes TLS on a unix socket: then this is one more question.
      ssl: transport === "tls" ? this.#ssl() : this.#isUnix && this.#random() < 0.5 ? "prefer" : false,
      sslnegotiation: transport === "tls" && this.#random() < 0.25 ? "direct" : null,
      connectTimeoutMs: null,
      applicationName: null,
      targetSessionAttrs: "any",
      startup: {},
      isPooledHint: false,
    };
  }

  #password(role: string): ConnectionTarget["password"] {
    if (this.#way === "bad password function") return this.#one(badPasswords);
    const password = this.#way === "wrong password" ? "wrong" : role;
    if (this.#random() < 0.6) return password;
    const delay = this.#random() * 10;
    return async () => {
      await sleep(delay);
      return password;
    };
  }

  #ssl(): Ssl {
    const { ca } = this.#options.server;
    if (this.#way === "bad certificate") return this.#one<Ssl>([true, { ca: "junk", cert: "junk", key: "junk" }]);
    return this.#one<Ssl>(["require", "prefer", { ca }, { ca, checkServerIdentity: () => undefined }]);
  }

  #one<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T;
  }

  #expect(holds: boolean, what: string): void {
    if (!holds) this.#faults.push(`${what} (tear-down ${this.#number}, ${this.#way})`);
  }
}
