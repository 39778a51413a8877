// A cron job in a cluster: three machines start it in every period, by clocks that differ, and one of them does the work.
//
//   DATABASE_URL=postgres://localhost/app npx tsx examples/cron.ts
import cluster from "node:cluster";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { createLocker } from "leasehold";
import postgres from "postgres";

const machines = 3;
const periods = 4;
const periodMs = 1_000;

const sql = postgres(process.env.DATABASE_URL ?? "", { onnotice: () => {} });
const locker = createLocker();

/** What cron does on one machine. The clock of each is 100 ms behind that of the one before. */
async function machine(number: number, firstMs: number): Promise<void> {
  for (let period = 1; period <= periods; period += 1) {
    const dueMs = firstMs + period * periodMs;
    await sleep(Math.max(0, dueMs + number * 100 - Date.now()));
    // The job has ended when the last machine starts it: the minimum hold keeps the key from that one, too. A key for each period
    // lets it be longer than a period, so that no machine comes too late to skip.
    const key = `example:cron:${new Date(dueMs).toISOString()}`;
    const result = await locker.tryWithLock(key, () => job(number, period), { minHoldMs: 30_000 });
    console.log(`period ${period}: machine ${number} ${result.acquired ? "does the job" : "skips it"}`);
  }
}

async function job(number: number, period: number): Promise<void> {
  await sql`insert into example_cron_runs (period, machine) values (${period}, ${number})`;
}

async function main(): Promise<void> {
  await locker.migrate();
  await sql`drop table if exists example_cron_runs`;
  await sql`create table example_cron_runs (period integer not null, machine integer not null)`;

  const firstMs = Date.now() + 2_000; // when they have started
  const workers = Array.from({ length: machines }, () => cluster.fork({ FIRST_MS: firstMs }));
  await Promise.all(workers.map((worker) => once(worker, "exit")));

  const rows = await sql<{ period: number; runs: number }[]>`
    select period::integer, count(machine)::integer as runs
    from generate_series(1, ${periods}) as period left join example_cron_runs using (period)
    group by period order by period`;
  await sql`drop table example_cron_runs`;
  const wrong = rows.filter(({ runs }) => runs !== 1);
  for (const { period, runs } of wrong) console.log(`FAILED: the job of period ${period} ran ${runs} times`);
  if (wrong.length === 0) console.log(`ok: ${periods} periods, ${machines} machines, and each job ran once`);
  process.exitCode = wrong.length === 0 ? 0 : 1;
}

if (cluster.isPrimary) await main();
else await machine(cluster.worker?.id ?? 0, Number(process.env.FIRST_MS));
await Promise.all([locker.close(), sql.end()]);
cluster.worker?.disconnect();
