// Whether the table and its indexes grow while the same keys are locked again and again.
import { openClient } from "../../test/support/client.js";
import { withCrews } from "../crew.js";
import type { Row } from "../results.js";
import type { Workload } from "./workload.js";

const KEYS = 1_000;
const PARTS = 10;

export const CYCLES_TABLE = "size of the table";
export const CYCLES_INDEXES = "size of its indexes";

export const cycles: Workload = {
  name: "cycles",
  about: "10^6 cycles on 1,000 keys (a quick run: 60,000): the sizes of the table and of its indexes after each tenth",
  async run(entrants, { isQuick }, report) {
    const total = isQuick ? 60_000 : 1_000_000;
    const rows: Row[] = [];
    for (const build of await entrants.databasesFor("cycles")) {
      const sql = await openClient(build.spec.url);
      const sizes: { table: number; indexes: number }[] = [];
      const from = performance.now();
      try {
        await withCrews([build], 1, async ([crew]) => {
          for (let part = 0; part < PARTS; part += 1) {
            const args = { cycles: total / PARTS, inFlight: KEYS };
            await crew?.workers[0]?.request("cycles", args, { timeoutMs: 600_000 });
            const [row] = await sql`
              select pg_relation_size('leasehold.leases')::int as table, pg_indexes_size('leasehold.leases')::int as indexes`;
            sizes.push({ table: row?.table, indexes: row?.indexes });
          }
        });
      } finally {
        await sql.end({ timeout: 1 });
      }
      const rate = (total * 1_000) / (performance.now() - from);
      for (const [of, key] of [
        [CYCLES_TABLE, "table"],
        [CYCLES_INDEXES, "indexes"],
      ] as const) {
        const samples = sizes.map((size) => size[key]);
        const also = {
          "after 20 %": samples[PARTS / 5 - 1] ?? Number.NaN,
          "at the end": samples.at(-1) ?? Number.NaN,
          "cycles/s": rate,
        };
        rows.push({
          workload: this.name,
          case: of,
          contender: build.name,
          unit: "bytes",
          isMoreBetter: false,
          samples,
          also,
        });
      }
    }
    for (const of of [CYCLES_TABLE, CYCLES_INDEXES]) report(rows.filter((row) => row.case === of));
  },
};
