// Tries of a key that another process holds, one after the other.
import { type Crew, withCrews } from "../crew.js";
import { inTurns, toRow, type Workload } from "./workload.js";

export const FAILED_TRY = "a key that is held";

export const failedTry: Workload = {
  name: "failed-try",
  about: "tries of a key that another process holds, beside the bare select 1",
  async run(entrants, { windowMs, rounds, coldRounds, isQuick }, report) {
    const able = entrants.peers.filter(({ name }) =>
      // redlock-universal has no try: its lock objects retry
      isQuick ? ["redlock", "table-lock"].includes(name) : !name.startsWith("redlock-universal"),
    );
    const triers = [...entrants.leaseholds, ...able];
    const sql = await entrants.cluster.sql();
    const position = async () => Number((await sql`select pg_current_wal_insert_lsn() - '0/0' as at`)[0]?.at);
    await withCrews(triers, 1, (holders) =>
      withCrews([...triers, entrants.floor("select 1", "select")], 1, async (crews) => {
        for (const holder of holders) await holder.workers[0]?.request("hold", { prefix: prefixOf(holder), count: 1 });
        const measure = async (crew: Crew) => {
          const before = await position();
          const window = await crew.tries(`${prefixOf(crew)}:0`, windowMs);
          return { ...window, walBytes: ((await position()) - before) / window.cycles };
        };
        const results = await inTurns(crews, rounds, measure, coldRounds);
        report(
          crews.map((crew, index) => {
            const windows = results[index] ?? [];
            const row = toRow("failed-try", FAILED_TRY, crew.name, windows);
            // The least: a heartbeat falls into some window, and into a quiet server's log come records by themselves.
            const wal = Math.min(...windows.map(({ walBytes }) => walBytes));
            return { ...row, unit: "tries/s", also: { ...row.also, "WAL bytes": wal } };
          }),
        );
      }),
    );
  },
};

/** Those that share a server do not share a key. */
function prefixOf({ name }: Crew): string {
  return `held-${name}`;
}
