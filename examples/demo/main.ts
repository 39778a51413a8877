// npm run demo: four processes move money between accounts, each transfer in a transaction that guards the locks of its two
// accounts. Meanwhile one of them is killed, one is frozen, and Postgres crashes. In the end everything must add up: the exit
// code says whether.
import { constants } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { createLocker } from "../../src/index.js";
import { startWorker, type WorkerProcess } from "../../test/support/child.js";
import { type Cluster, startCluster } from "../../test/support/cluster.js";
import { openResources } from "../../test/support/resources.js";
import { removeBinariesCopy } from "../../test/support/server-binaries.js";
import { connect, keys, openBank, openingBalance, type Sql } from "./bank.js";
import { type Held, keepLooking, look, type Takeover, takeovers } from "./look.js";
import { Screen } from "./screen.js";
import { judge, type Story, seconds } from "./verdict.js";
import type { Paused, Place, Resumed, WorkerArgs } from "./worker.js";

const ttlMs = 5_000;
const takeoverDelayMs = 1_500;
const quietMs = 2_000; // between one fault and the next

const screen = new Screen();

class Demo {
  readonly #cluster: Cluster;
  readonly #sql: Sql;
  readonly #crash: (error: Error) => void;
  readonly #takeovers: Takeover[] = [];

  constructor(cluster: Cluster, sql: Sql, crash: (error: Error) => void) {
    this.#cluster = cluster;
    this.#sql = sql;
    this.#crash = crash;
  }

  async run(): Promise<boolean> {
    const workers = await Promise.all([1, 2, 3, 4].map((number) => this.#start(`worker-${number}`)));
    const [first, second, third, fourth] = workers as [WorkerProcess, WorkerProcess, WorkerProcess, WorkerProcess];
    screen.say(`4 workers move money between ${keys.length} accounts (TTL ${seconds(ttlMs)})`);
    const display = keepLooking(this.#sql, screen);

    await delay(quietMs);
    await this.#kill(second, "worker-2");
    const fifth = await this.#start("worker-5");
    screen.say("worker-5 is started in its place");
    await delay(quietMs);
    const late = await this.#freeze(third, "worker-3");
    await delay(quietMs);
    const throughRestart = await this.#crashPostgres(fourth, "worker-4");
    await delay(quietMs);

    const stops = [first, third, fourth, fifth].map((worker) => worker.request<{ wronglyRefused: number }>("stop"));
    const wronglyRefused = (await Promise.all(stops)).reduce((sum, one) => sum + one.wronglyRefused, 0);
    await display.stop();
    screen.say("the workers have stopped");
    return await this.#sum({ takeovers: this.#takeovers, takeoverDelayMs, late, throughRestart, wronglyRefused });
  }

  async #start(name: string): Promise<WorkerProcess> {
    const args: WorkerArgs = { url: this.#cluster.url, name, ttlMs, takeoverDelayMs };
    const worker = await startWorker(new URL("worker.ts", import.meta.url), args);
    void worker.exit.then(({ code }) => {
      if (code !== null) this.#crash(new Error(`${name} ended by itself (${code}):\n${worker.stderr}`));
    });
    await worker.request("run");
    return worker;
  }

  async #kill(worker: WorkerProcess, name: string): Promise<void> {
    const { source, target, amount } = await this.#pause(worker, "halfway");
    const since = new Date();
    await worker.kill("SIGKILL");
    screen.say(`${name} is killed (SIGKILL) halfway: ${amount} have left ${source} and not reached ${target}`);
    await this.#takeOver(name, "killed", since);
  }

  async #freeze(worker: WorkerProcess, name: string): Promise<Resumed> {
    const { source, target, amount } = await this.#pause(worker, "before writing");
    const since = new Date();
    worker.stop();
    screen.say(`${name} is frozen (SIGSTOP) right before it writes: ${amount} from ${source} to ${target}`);
    await this.#takeOver(name, "frozen", since);
    await delay(500); // the others move what it has read
    worker.cont();
    screen.say(`${name} goes on (SIGCONT) and writes, as if nothing had happened`);
    const resumed = await this.#resume(worker);
    if (resumed.loss !== null) screen.say(`  its lock tells it: ${resumed.loss}`);
    const { refusal } = resumed;
    screen.say(
      refusal ? `  Postgres refuses its write (${refusal.code}): ${refusal.message}` : "  its write was taken",
    );
    if (refusal) screen.say(`  ${refusal.detail}`);
    return resumed;
  }

  async #crashPostgres(worker: WorkerProcess, name: string): Promise<Resumed> {
    const { locks } = await this.#pause(worker, "before writing");
    const names = locks.map(({ key, fence }) => `${key} (fence ${fence})`).join(" and ");
    screen.say(`${name} stands still with ${names}`);
    const start = performance.now();
    await this.#cluster.stop("immediate");
    screen.say("Postgres is stopped at once, as in a crash");
    await delay(300);
    await this.#cluster.start();
    screen.say(`Postgres is back after ${seconds(performance.now() - start)}`);
    while (!(await worker.request<boolean>("isHeld"))) {
      if (performance.now() - start > 10_000) break;
      await delay(20);
    }
    const resumed = await this.#resume(worker);
    screen.say(
      `  ${name} ${resumed.held ? "still holds both" : "has lost them"} after ${seconds(performance.now() - start)}, and its write is ${resumed.outcome}`,
    );
    return resumed;
  }

  async #pause(worker: WorkerProcess, place: Place): Promise<Paused> {
    await worker.request("pause", place);
    return await worker.next<Paused>("paused");
  }

  async #resume(worker: WorkerProcess): Promise<Resumed> {
    await worker.request("resume");
    return await worker.next<Resumed>("resumed");
  }

  async #takeOver(name: string, how: Takeover["how"], since: Date): Promise<void> {
    await delay(200); // what it had sent is done
    const lost = (await look(this.#sql)).filter(({ owner }) => owner === name);
    await this.#endWork(lost, since);
    for (const one of lost) screen.say(`  ${describeHeld(one)}`);
    const found = await takeovers(this.#sql, lost, how, since, (one) => screen.say(`  ${describeTakeover(one)}`));
    this.#takeovers.push(...found);
  }

  /** What died or stands still does no work: it cannot say so itself in the log. */
  async #endWork(lost: readonly Held[], at: Date): Promise<void> {
    for (const { key, fence } of lost) {
      await this.#sql`
        update grants set ended_at = to_timestamp(${at.getTime()}::float8 / 1000) where key = ${key} and fence = ${fence}`;
    }
  }

  async #sum(story: Story): Promise<boolean> {
    const [count] = await this.#sql<{ transfers: number; grants: bigint }[]>`
      select (select count(*) from transfers)::int as transfers,
             (select sum(acquisitions) from leasehold.leases)::bigint as grants`;
    screen.print();
    screen.print(`transfers  ${count?.transfers}`);
    screen.print(`grants     ${count?.grants}`);
    screen.print(`takeovers  ${story.takeovers.length}`);
    for (const one of story.takeovers) screen.print(`  ${describeTakeover(one)}`);
    screen.print();
    const verdicts = await judge(this.#sql, story);
    for (const { invariant, holds, seen } of verdicts) {
      screen.print(`${holds ? "ok  " : "FAIL"}  ${invariant} (${seen || "never happened"})`);
    }
    const broken = verdicts.filter(({ holds }) => !holds);
    screen.print();
    screen.print(broken.length === 0 ? "All invariants hold." : `${broken.length} invariants DO NOT hold.`);
    return broken.length === 0;
  }
}

function describeHeld({ key, owner, fence, waiting }: Held): string {
  const line =
    waiting.length === 0 ? "nobody waits yet" : `${waiting.join(", ")} wait${waiting.length === 1 ? "s" : ""}`;
  return `${key} is held by ${owner}, fence ${fence}; ${line}`;
}

function describeTakeover({ key, from, how, by, afterMs, fence, nextFence }: Takeover): string {
  return `${key} taken over from ${from} (${how}) by ${by} after ${seconds(afterMs)}, fence ${fence} → ${nextFence}`;
}

async function main(): Promise<boolean> {
  const cluster = await startCluster({ ownIdentity: true });
  const sql = connect(cluster.url);
  try {
    const [server] = await sql<{ version: string }[]>`select current_setting('server_version') as version`;
    screen.say(`Postgres ${server?.version} runs on port ${cluster.port}`);
    const locker = createLocker({ url: cluster.url });
    await locker.migrate();
    await locker.close();
    await openBank(sql);
    screen.say(`migrated; ${keys.length} accounts with ${openingBalance} each`);
    return await new Promise<boolean>((resolve, reject) => {
      new Demo(cluster, sql, reject).run().then(resolve, reject);
    });
  } finally {
    await sql.end({ timeout: 0 });
  }
}

async function cleanUp(): Promise<void> {
  for (const resource of openResources().reverse()) await resource.dispose();
  await removeBinariesCopy();
}

let interrupted: Promise<never> | undefined;

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => {
    screen.endProgress();
    console.error(`${signal}: cleaning up`);
    interrupted ??= end(128 + constants.signals[signal]);
  });
}

async function end(status: number): Promise<never> {
  await cleanUp().catch((error: unknown) => console.error(error));
  process.exit(status);
}

let isGood = false;
try {
  isGood = await main();
} catch (error) {
  await interrupted; // then it is no wonder that something failed
  screen.endProgress();
  console.error(error instanceof Error ? `FAIL  ${error.stack}` : error);
}
await end(isGood ? 0 : 1);
