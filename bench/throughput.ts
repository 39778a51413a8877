// Cycles of acquire and release per second, uncontended, as a ratio to what Postgres allows for one durable and one
// asynchronous commit each, and to another build. Both take turns in short windows, so that a slow moment of the machine hits both.
//
//   npm run bench -- [--in-flight 1,16,128,1024] [--seconds 6] [--against <folder of another checkout, built>]
import { parseArgs } from "node:util";
import postgres from "postgres";
import { changeUrl } from "../test/support/client.js";
import { startCluster } from "../test/support/cluster.js";

const { values } = parseArgs({
  options: {
    "in-flight": { type: "string", default: "1,16,128,1024" },
    seconds: { type: "string", default: "6" },
    against: { type: "string" },
  },
});
const WINDOW_MS = 500;

interface Contender {
  readonly name: string;
  cycle(worker: number): Promise<unknown>;
  end(): Promise<void>;
}

/** In a database of its own: a build brings its own SQL. */
async function leasehold(name: string, folder: URL, server: string): Promise<Contender> {
  const database = name.replaceAll(" ", "_");
  const admin = postgres(server, { max: 1, onnotice: () => undefined });
  await admin.unsafe(`create database ${database}`);
  await admin.end();
  const url = changeUrl(server, { database });
  const { createLocker } = (await import(new URL("dist/index.js", folder).href)) as typeof import("../src/index.js");
  const locker = createLocker({ url });
  await locker.migrate();
  return {
    name,
    cycle: async (worker) => (await locker.acquire(`bench:${worker}`)).release(),
    end: () => locker.close(),
  };
}

/** The same number of durable and of asynchronous commits, and no lock: one statement at a time on one connection. */
async function floor(url: string): Promise<Contender> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  await sql`create table if not exists floor (id int primary key, n bigint not null) with (fillfactor = 50)`;
  await sql`insert into floor values (1, 0) on conflict do nothing`;
  return {
    name: "two commits",
    async cycle() {
      await sql`update floor set n = n + 1 where id = 1`;
      await sql`with off as materialized (select set_config('synchronous_commit', 'off', true))
        update floor set n = n + 1 from off where id = 1`;
    },
    end: () => sql.end(),
  };
}

/** Cycles in one window. */
async function run(contender: Contender, inFlight: number): Promise<{ cycles: number; ms: number }> {
  const start = performance.now();
  let cycles = 0;
  const work = async (worker: number): Promise<void> => {
    while (performance.now() - start < WINDOW_MS) {
      await contender.cycle(worker);
      cycles += 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, worker) => work(worker)));
  return { cycles, ms: performance.now() - start };
}

async function measure(contenders: readonly Contender[], inFlight: number): Promise<Map<string, number>> {
  const totals = new Map(contenders.map(({ name }) => [name, { cycles: 0, ms: 0 }]));
  const rounds = Math.max(1, Math.round((Number(values.seconds) * 1_000) / WINDOW_MS));
  for (let round = -1; round < rounds; round += 1) {
    for (const contender of contenders) {
      const { cycles, ms } = await run(contender, inFlight);
      const total = totals.get(contender.name);
      // The first round warms up.
      if (total !== undefined && round >= 0) {
        total.cycles += cycles;
        total.ms += ms;
      }
    }
  }
  return new Map([...totals].map(([name, { cycles, ms }]) => [name, (cycles * 1_000) / ms]));
}

const cluster = await startCluster({ settings: { shared_buffers: "256MB" } });
try {
  const contenders = [await leasehold("leasehold", new URL("../", import.meta.url), cluster.url)];
  if (values.against !== undefined) {
    contenders.push(await leasehold("the other build", new URL(`file://${values.against}/`), cluster.url));
  }
  const bound = await floor(cluster.url);
  for (const inFlight of values["in-flight"].split(",").map(Number)) {
    // One connection serves one statement at a time: a bound for one cycle at a time, not for many.
    const rates = await measure(inFlight === 1 ? [...contenders, bound] : contenders, inFlight);
    const ours = rates.get("leasehold") ?? 0;
    const others = [...rates]
      .slice(1)
      .map(([name, rate]) => `${(ours / rate).toFixed(2)} of ${name} (${Math.round(rate)})`);
    console.log([`${inFlight} in flight: ${Math.round(ours)} cycles/s`, ...others].join(", "));
  }
  await Promise.all([...contenders, bound].map((contender) => contender.end()));
} finally {
  await cluster.destroy();
}
