// What a row of a guarded table costs the server, as a ratio to a row of a table like it without a guard, by how many keys the
// transaction guards. In processor time, which depends little on what else the machine does.
//   npm run bench:guarded-rows [-- --rows=10000] [--rounds=5] [--server=postgres://...]
import { parseArgs } from "node:util";
import { createLocker } from "../src/index.js";
import { startCluster } from "../test/support/cluster.js";
import { openMetered } from "../test/support/processor-time.js";

const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "10000" },
    rounds: { type: "string", default: "5" },
    server: { type: "string" },
  },
});
const KEYS = [1, 10, 100, 1_000];
const [rows, rounds] = [Number(values.rows), Number(values.rounds)];

await using cluster = values.server === undefined ? await startCluster() : null;
const url = values.server ?? cluster?.url ?? "";
await using locker = createLocker({ url });
await locker.migrate();
await using client = await openMetered(url);
const { sql } = client;
await sql.unsafe(`
  drop table if exists plain, guarded; create table plain (id bigint, key text, value int); create table guarded (like plain);
  select leasehold.guard_table('guarded', 'key')`);
const fences: { key: string; fence: string }[] = [];
for (let number = 1; number <= Math.max(...KEYS); number += 1) {
  const [row] = await sql`select fence::text from leasehold.try_acquire(${`row:${number}`}, '1 hour')`;
  fences.push({ key: `row:${number}`, fence: row?.fence });
}

console.log(`${rows} rows in one transaction, the least of ${rounds} rounds; microseconds a row\n`);
console.log("keys guarded   insert   guarded   ratio   update   guarded   ratio");
for (const keys of KEYS) {
  const least = { plainInsert: Infinity, insert: Infinity, plainUpdate: Infinity, update: Infinity };
  for (let round = 0; round < rounds; round += 1) {
    await sql.unsafe("begin");
    for (const { key, fence } of fences.slice(0, keys))
      await sql`select leasehold.guard(${key}, ${fence}::bigint, '1 hour')`;
    const insert = (table: string) =>
      `insert into ${table} select i, 'row:' || 1 + i % ${keys}, 0 from generate_series(1, ${rows}) i`;
    const time = async (name: keyof typeof least, text: string) => {
      least[name] = Math.min(least[name], (await client.timeOf(text)) / rows);
    };
    await time("plainInsert", insert("plain"));
    await time("insert", insert("guarded"));
    await time("plainUpdate", "update plain set value = 1");
    await time("update", "update guarded set value = 1");
    await sql.unsafe("rollback");
  }
  const cell = (ms: number) => (ms * 1_000).toFixed(1).padStart(8);
  const ratio = (guarded: number, plain: number) => (guarded / plain).toFixed(1).padStart(8);
  console.log(
    `${String(keys).padEnd(12)}${cell(least.plainInsert)}${cell(least.insert)} ${ratio(least.insert, least.plainInsert)}${cell(least.plainUpdate)} ${cell(least.update)}${ratio(least.update, least.plainUpdate)}`,
  );
}
const [memory] = await sql`
  select pg_size_pretty(sum(total_bytes)) as size from pg_backend_memory_contexts where name ~ 'GUC'`;
console.log(`\nmemory of the session's settings: ${memory?.size}`);
