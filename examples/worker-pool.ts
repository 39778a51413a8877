// A pool of workers over many keys: jobs of one customer run one after the other, those of different customers at the same time, on any of
// three processes.
//
//   DATABASE_URL=postgres://localhost/app npx tsx examples/worker-pool.ts
import cluster from "node:cluster";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { createLocker, key, type Lock } from "leasehold";
import postgres from "postgres";

const processes = 3;
const workersEach = 4;
const customers = 15;
const jobsEach = 4;

const sql = postgres(process.env.DATABASE_URL ?? "", { onnotice: () => {} });
const locker = createLocker(); // one for the process, however many locks it holds

/** Does what is open until nothing is. A customer whose key is taken is somebody else's for now: it goes on to the next. */
async function work(worker: string): Promise<number> {
  let done = 0;
  for (;;) {
    const open = await sql<{ customer: number }[]>`
      select customer from (select distinct customer from example_jobs where ended_at is null) as open order by random()`;
    if (open.length === 0) return done;
    for (const { customer } of open) {
      const result = await locker.tryWithLock(key("example", customer), (lock) => oneJob(customer, worker, lock));
      if (result.acquired && result.value) done += 1;
    }
    await sleep(10);
  }
}

/** The next job of a customer, in the order in which they came. */
async function oneJob(customer: number, worker: string, lock: Lock): Promise<boolean> {
  const [job] = await sql<{ id: number }[]>`
    select id from example_jobs where customer = ${customer} and ended_at is null order by id limit 1`;
  if (job === undefined) return false;
  const [run] = await sql<{ started_at: Date }[]>`select clock_timestamp() as started_at`;
  await sleep(20); // the work
  await lock.transaction(sql, async (tx) => {
    await tx`update example_jobs set ended_at = clock_timestamp() where id = ${job.id}`;
    await tx`insert into example_runs values (${job.id}, ${customer}, ${worker}, ${run?.started_at ?? null}, clock_timestamp())`;
  });
  return true;
}

async function main(): Promise<void> {
  await locker.migrate();
  await sql`drop table if exists example_jobs, example_runs`;
  await sql`create table example_jobs (id integer generated always as identity, customer integer, ended_at timestamptz)`;
  await sql`create table example_runs (job integer, customer integer, worker text, started_at timestamptz, ended_at timestamptz)`;
  await sql`insert into example_jobs (customer) select number % ${customers} from generate_series(1, ${customers * jobsEach}) as number`;

  const forks = Array.from({ length: processes }, () => cluster.fork());
  await Promise.all(forks.map((fork) => once(fork, "exit")));

  const [sum] = await sql<{ jobs: number; runs: number; overlaps: number; workers: number }[]>`
    select count(distinct job)::integer as jobs, count(*)::integer as runs, count(distinct worker)::integer as workers,
           (select count(*) from example_runs a join example_runs b on a.customer = b.customer and a.job < b.job
            and a.started_at < b.ended_at and b.started_at < a.ended_at)::integer as overlaps
    from example_runs`;
  await sql`drop table example_jobs, example_runs`;
  const wanted = customers * jobsEach;
  const isGood = sum?.jobs === wanted && sum.runs === wanted && sum.overlaps === 0;
  console.log(
    `${isGood ? "ok" : "FAILED"}: ${wanted} jobs, ${sum?.runs} runs by ${sum?.workers} workers, ${sum?.overlaps} beside another of the same customer`,
  );
  process.exitCode = isGood ? 0 : 1;
}

if (cluster.isPrimary) await main();
else {
  const names = Array.from({ length: workersEach }, (_, index) => `${cluster.worker?.id}.${index + 1}`);
  await Promise.all(names.map(async (name) => console.log(`worker ${name} has done ${await work(name)} jobs`)));
}
await Promise.all([locker.close(), sql.end()]);
cluster.worker?.disconnect();
