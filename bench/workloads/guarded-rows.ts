// What a row of a guarded table costs the server, by how many keys the transaction guards. In processor time, which depends little on
// what else the machine does.
import { openMetered } from "../../test/support/processor-time.js";
import type { Workload } from "./workload.js";

export const guardedRows: Workload = {
  name: "guarded-rows",
  about:
    "rows written to a guarded table and to a plain one like it, by the number of keys that the transaction guards",
  async run(entrants, { isQuick }, report) {
    const keyCounts = isQuick ? [1, 100] : [1, 10, 100, 1_000];
    const [rows, rounds] = isQuick ? [2_000, 2] : [10_000, 5];
    for (const build of await entrants.databasesFor("guarded_rows")) {
      await using client = await openMetered(build.spec.url);
      const { sql } = client;
      await sql.unsafe(`
        create table plain (id bigint, key text, value int);
        create table guarded (like plain);
        select leasehold.guard_table('guarded', 'key')`);
      const fences: { key: string; fence: string }[] = [];
      for (let number = 1; number <= Math.max(...keyCounts); number += 1) {
        const [row] = await sql`select fence::text from leasehold.try_acquire(${`row:${number}`}, '1 hour')`;
        fences.push({ key: `row:${number}`, fence: row?.fence });
      }
      for (const keys of keyCounts) {
        const insert = (table: string) =>
          `insert into ${table} select i, 'row:' || 1 + i % ${keys}, 0 from generate_series(1, ${rows}) i`;
        const statements = [
          { what: "insert", contender: "plain", text: insert("plain") },
          { what: "insert", contender: "guarded", text: insert("guarded") },
          { what: "update", contender: "plain", text: "update plain set value = 1" },
          { what: "update", contender: "guarded", text: "update guarded set value = 1" },
        ];
        const samples = statements.map((): number[] => []);
        for (let round = 0; round < rounds; round += 1) {
          await sql.unsafe("begin");
          for (const { key, fence } of fences.slice(0, keys)) {
            await sql`select leasehold.guard(${key}, ${fence}::bigint, '1 hour')`;
          }
          for (const [index, { text }] of statements.entries()) {
            samples[index]?.push(((await client.timeOf(text)) * 1_000) / rows);
          }
          await sql.unsafe("rollback");
        }
        for (const of of ["insert", "update"]) {
          report(
            statements.flatMap(({ what, contender }, index) =>
              what === of
                ? [
                    {
                      workload: this.name,
                      case: `${what}, ${keys} ${keys === 1 ? "key" : "keys"}`,
                      contender: `${build.name}, ${contender}`,
                      unit: "server µs a row",
                      isMoreBetter: false,
                      samples: samples[index] ?? [],
                    },
                  ]
                : [],
            ),
          );
        }
      }
    }
  },
};
