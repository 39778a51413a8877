// A leader with failover: of three processes one leads and writes. It is killed, and the next one leads; that one is frozen, the last one
// leads, and what the frozen one writes when it goes on is refused.
//
//   DATABASE_URL=postgres://localhost/app npx tsx examples/leader.ts
import cluster, { type Worker } from "node:cluster";
import { on, once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { createLocker, type Lock } from "leasehold";
import postgres from "postgres";

const sql = postgres(process.env.DATABASE_URL ?? "", { onnotice: () => {}, types: { bigint: postgres.BigInt } });
const name = `process ${cluster.worker?.id}`;
const onLost = (_: Lock, { reason }: { reason: string }) => console.log(`${name} has lost the lead (${reason})`);
const onError = (error: unknown) => console.log(`${name} could not write: ${error}`);
// Short, so that you need not wait: a crashed leader is replaced after 1 s, a frozen one after 2 s.
const locker = createLocker({ takeoverDelayMs: 1_000, ttlMs: 2_000, onLost, onError });

/** What the leader does, until it is told to stop or has lost the lead. */
async function work(lock: Lock, signal: AbortSignal): Promise<void> {
  console.log(`${name} leads, with fence ${lock.fence}`);
  await write(lock);
  process.send?.("has written");
  while (!signal.aborted) await write(lock);
}

/** One piece of the work: Postgres takes it from the leader alone. */
async function write(lock: Lock): Promise<void> {
  await lock.transaction(sql, (tx) => tx`insert into example_writes (writer, fence) values (${name}, ${lock.fence})`);
  await sleep(20);
}

async function main(): Promise<void> {
  await locker.migrate();
  await sql`drop table if exists example_writes`;
  await sql`create table example_writes (id integer generated always as identity, writer text, fence bigint)`;

  const workers = [cluster.fork(), cluster.fork(), cluster.fork()];
  const ended = Promise.all(workers.map((worker) => once(worker, "exit")));
  const leaders: Worker[] = [];
  for await (const [worker] of on(cluster, "message", { signal: AbortSignal.timeout(60_000) })) {
    leaders.push(worker);
    await sleep(300); // it goes on
    if (leaders.length === 3) break;
    const signal = leaders.length === 1 ? "SIGKILL" : "SIGSTOP";
    console.log(`process ${worker.id} gets ${signal}`);
    worker.process.kill(signal);
  }
  console.log(`process ${leaders[1]?.id} goes on`);
  leaders[1]?.process.kill("SIGCONT");
  await sleep(1_000);
  for (const worker of leaders) worker.process.kill("SIGTERM");
  await ended;

  const writes = await sql<{ writer: string; fence: bigint }[]>`select writer, fence from example_writes order by id`;
  await sql`drop table example_writes`;
  const late = writes.filter(({ fence }, index) => fence < (writes[index - 1]?.fence ?? 0n)).length;
  const writers = new Set(writes.map(({ writer }) => writer)).size;
  const isGood = late === 0 && writers === 3;
  console.log(`${isGood ? "ok" : "FAILED"}: ${writes.length} writes by ${writers} leaders, ${late} of a former leader`);
  process.exitCode = isGood ? 0 : 1;
}

const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());
await (cluster.isPrimary ? main() : locker.lead("example:leader", work, { signal: stop.signal }));
// With a limit: postgres.js waits for ever for a transaction whose connection was lost in the freeze.
await Promise.all([locker.close(), sql.end({ timeout: 1 })]);
cluster.worker?.disconnect();
