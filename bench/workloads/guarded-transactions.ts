// What a guard costs: the same transaction with and without one, over every library.
import { startProxy } from "../../test/support/proxy.js";
import { libraries } from "../../test/transactions/libraries.js";
import type { Opened, Run } from "../../test/transactions/library.js";
import type { Leasehold } from "../entrants.js";
import { ratio } from "../statistics.js";
import { inTurns, type Workload } from "./workload.js";

const write = (run: Run) => run("update counters set n = n + 1 where id = 1");

export const guardedTransactions: Workload = {
  name: "guarded-transactions",
  about: "a transaction of one update, without a guard and with one; messages: those that the client waits for",
  async run(entrants, { isQuick }, report) {
    const [rounds, perRound] = isQuick ? [5, 20] : [20, 50];
    const taking = isQuick
      ? libraries.filter(({ name }) => ["postgres.js", "a pool of node-postgres"].includes(name))
      : libraries;
    for (const build of await entrants.databasesFor("guarded")) {
      const { createLocker } = await importBuild(build);
      await using locker = createLocker({ url: build.spec.url });
      await using lock = await locker.acquire("bench", { ttlMs: 600_000 });
      await using proxy = await startProxy(build.spec.url);
      const sql = await openCounters(build.spec.url);
      await sql.end();
      for (const library of taking) {
        const kinds = [
          { name: "plain", run: (opened: Opened) => opened.plain(write) },
          { name: "guarded", run: (opened: Opened) => opened.guarded(lock, write) },
        ];
        await using opened = library.open(build.spec.url);
        const results = await inTurns(kinds, rounds, async (kind) => {
          const start = performance.now();
          for (let count = 0; count < perRound; count += 1) await kind.run(opened);
          return (performance.now() - start) / perRound;
        });
        await using counted = library.open(proxy.url(build.spec.url));
        const messages: number[] = [];
        for (const kind of kinds) {
          await kind.run(counted);
          proxy.statements.length = 0;
          await kind.run(counted);
          messages.push(proxy.statements.length);
        }
        report(
          kinds.map(({ name }, index) => ({
            workload: this.name,
            case: library.name,
            contender: `${build.name}, ${name}`,
            unit: "ms",
            isMoreBetter: false,
            samples: results[index] ?? [],
            also: {
              messages: messages[index] ?? Number.NaN,
              "to plain": ratio(results[index] ?? [], results[0] ?? []),
            },
          })),
        );
      }
    }
  },
};

async function openCounters(url: string) {
  const { openClient } = await import("../../test/support/client.js");
  const sql = await openClient(url);
  await sql`create table counters as select 1 as id, 0 as n`;
  return sql;
}

export async function importBuild(build: Leasehold): Promise<typeof import("../../src/index.js")> {
  return await import(build.spec.entry);
}
