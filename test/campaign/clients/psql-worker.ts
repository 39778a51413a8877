// A process of the campaign that takes locks with psql: what it is told, and what it answers, is written down here. The locks are those of the
// psql; when that is killed this ends, too. Its arguments: the path of psql, and SqlClientArgs as JSON. It ends after a line `finish`.
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { quoteLiteral } from "../../../src/runtime/quote.js";
import type { Grant } from "../log.js";
import { Chance } from "../worker/chance.js";
import { type Call, type Ended, LogFile } from "../worker/log-file.js";
import type { SqlClientArgs } from "./arguments.js";
import { type Answer, PsqlEnded, PsqlProcess } from "./psql.js";

const [path, json] = process.argv.slice(2) as [string, string];
const args: SqlClientArgs = JSON.parse(json);
const { exclusive, accounts, waits } = args.keys;
const chance = new Chance(args.seed);
const log = new LogFile(args.logFile, args.name);
const stop = new AbortController();
const limitMs = args.statementTimeoutMs + 1_000;

/** What Postgres has refused. */
class Refused extends Error {
  readonly code: string;

  constructor(code: string) {
    super(`psql was told ${code}`);
    this.code = code;
  }
}

/** The connection was lost, so the psql has ended, and another begins. */
class Lost extends Error {
  readonly code = "CONNECTION_LOST";
}

interface Lock extends Grant {
  readonly token: string;
}

class Worker {
  #psql: PsqlProcess | undefined;
  #session: string | null = null;
  #locks = 0;
  readonly #ended: { readonly lock: Lock; readonly staleAt: number }[] = [];

  async run(): Promise<void> {
    let psql = await this.#open();
    const isAttached = args.presence === "on";
    log.write({
      e: "hello",
      client: "psql",
      pid: psql?.pid ?? process.pid,
      takeoverDelayMs: isAttached ? 5_000 : 0,
      requestTimeoutMs: args.statementTimeoutMs,
      presence: isAttached,
      application: args.name,
    });
    while (!stop.signal.aborted) {
      log.write({ e: "clock", wall: Date.now() * 1_000 });
      psql = await this.#open();
      if (psql) await chance.pick([this.#hold, this.#hold, this.#write, this.#write, this.#comeBack]).call(this, psql);
      await sleep(chance.between(1, 30), undefined, { signal: stop.signal }).catch(() => {});
    }
    await this.#psql?.end();
    log.write({ e: "bye", open: [] });
  }

  /** Undefined: the server cannot be reached. */
  async #open(): Promise<PsqlProcess | undefined> {
    if (this.#psql && !this.#psql.isEnded) return this.#psql;
    const psql = new PsqlProcess(path, args.url);
    this.#psql = psql;
    this.#session = null;
    try {
      await ask(psql, `set client_min_messages = error; set statement_timeout = ${args.statementTimeoutMs};`);
      if (args.presence === "on") {
        const [session] = await ask(psql, `select leasehold.attach(${quoteLiteral(args.name)});`);
        this.#session = session ?? null;
      }
      return psql;
    } catch {
      await psql.end();
      return undefined;
    }
  }

  async #hold(psql: PsqlProcess): Promise<void> {
    const lock = await this.#acquire(psql, chance.pick([...exclusive, ...waits]));
    if (lock === null) return;
    await sleep(chance.between(0, 80));
    if (chance.is(0.5)) {
      await call({ call: "renew", keys: [lock.key], lock: lock.lock }, () =>
        ask(psql, `select leasehold.renew(${held(lock)});`),
      );
    }
    await this.#release(psql, lock);
  }

  async #write(psql: PsqlProcess): Promise<void> {
    const lock = await this.#acquire(psql, chance.pick(accounts));
    if (lock === null) return;
    const key = quoteLiteral(lock.key);
    // a lock that has expired is noticed by nobody but the guard
    await sleep(chance.is(0.1) ? lock.ttlMs + 100 : chance.between(0, 40));
    const statements = [
      "\\unset was",
      `select value as was from campaign.accounts where key = ${key} \\gset`,
      "begin;",
      `select leasehold.guard(${key}, ${lock.fence});`,
      `insert into campaign.writes (key, fence, is_share, was, value, worker)
       values (${key}, ${lock.fence}, false, :was, :was + ${chance.between(1, 20)}, ${quoteLiteral(args.name)}) returning value as value \\gset`,
      `update campaign.accounts set value = :value where key = ${key};`,
      "commit;",
    ];
    await call({ call: "transaction", keys: [lock.key], lock: lock.lock }, async () => {
      const lines = await ask(psql, ["\\unset value", ...statements].join("\n"));
      if (lines.at(-1) !== "COMMIT") throw new Refused("25P02");
      return lines;
    });
    await this.#release(psql, lock);
  }

  /** To what was released or expired long ago. */
  async #comeBack(psql: PsqlProcess): Promise<void> {
    const at = this.#ended.findIndex(({ staleAt }) => staleAt < performance.now());
    const [one] = at < 0 ? [] : this.#ended.splice(at, 1);
    if (one === undefined) return;
    const { lock } = one;
    const stale = { keys: [lock.key], isStale: true } as const;
    if (chance.is(0.5)) {
      await call({ call: "renew", ...stale }, () => ask(psql, `select leasehold.renew(${held(lock)});`));
    } else {
      await call(
        { call: "release", ...stale },
        () => ask(psql, `select leasehold.release(${held(lock)});`),
        isReleased,
      );
    }
  }

  async #acquire(psql: PsqlProcess, key: string): Promise<Lock | null> {
    const ttlMs = chance.between(500, 3_000);
    const waitMs = chance.between(0, 1_000);
    const isTry = chance.is(0.5);
    const options = `ttl => '${ttlMs} ms', owner => ${quoteLiteral(args.name)}, session => ${this.#session ?? "null"}`;
    const text = isTry
      ? `select token, fence from leasehold.try_acquire(${quoteLiteral(key)}, ${options}) where acquired;`
      : `call leasehold.acquire(${quoteLiteral(key)}, wait => '${waitMs} ms', ${options});`;
    let lock: Lock | null = null;
    await call(
      {
        call: isTry ? "tryAcquire" : "acquire",
        keys: [key],
        terms: { mode: "exclusive" },
        ttlMs,
        keepAlive: false,
        ...(isTry ? {} : { waitMs }),
      },
      () => ask(psql, text),
      ([line]) => {
        if (line === undefined) return { outcome: "nothing" };
        const [token, fence] = line.split("|") as [string, string];
        this.#locks += 1;
        lock = { mode: "exclusive", lock: String(this.#locks), key, fence, token, ttlMs };
        return { outcome: "done", grants: [lock] };
      },
    );
    return lock;
  }

  async #release(psql: PsqlProcess, lock: Lock): Promise<void> {
    await call(
      { call: "release", keys: [lock.key], lock: lock.lock },
      () => ask(psql, `select leasehold.release(${held(lock)});`),
      isReleased,
    );
    this.#ended.push({ lock, staleAt: performance.now() + 2 * lock.ttlMs + 500 });
  }
}

async function call(
  what: Omit<Call, "boundMs" | "by">,
  run: () => Promise<readonly string[]>,
  read: (lines: readonly string[]) => Ended = () => ({ outcome: "done" }),
): Promise<void> {
  await log.call({ ...what, by: "SQL", boundMs: limitMs }, run, read);
}

/** @throws Refused, Lost */
async function ask(psql: PsqlProcess, text: string): Promise<readonly string[]> {
  let answer: Answer;
  try {
    answer = await psql.run(text, limitMs);
  } catch (error) {
    if (!(error instanceof PsqlEnded)) throw error;
    // killed by somebody: this process is gone, with its calls
    if (error.signal !== null && !psql.isGivenUp) process.exit(1);
    throw new Lost(error.message);
  }
  if (answer.code !== undefined) throw new Refused(answer.code);
  return answer.lines;
}

function isReleased([line]: readonly string[]): Ended {
  return { outcome: line === "t" ? "done" : "nothing" };
}

function held({ key, token }: Lock): string {
  return `${quoteLiteral(key)}, ${quoteLiteral(token)}`;
}

process.on("uncaughtException", (error) => {
  log.uncaught(error);
  process.exit(1);
});
const input = createInterface({ input: process.stdin });
input.on("line", (line) => {
  if (line.trim() === "finish") stop.abort();
});
void once(input, "close").then(() => stop.abort());
await new Worker().run();
process.exit(0);
