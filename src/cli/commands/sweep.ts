import { type Command, connectionOptions, jsonOption } from "../command.js";
import { type Database, withDatabase } from "../database.js";
import { SUCCESS } from "../exit-codes.js";
import { writeJson, writeOut } from "../output.js";

export const sweep: Command = {
  name: "sweep",
  summary: "delete what nobody needs any more, as every locker does now and then",
  usage: "[options]",
  options: { ...connectionOptions, ...jsonOption },
  examples: [{ text: "Tidy up now", call: "leasehold sweep" }],
  positionals: [],
  async run(args) {
    const { counts, isBusy } = await withDatabase(args, sweepAll);
    if (args.has("json")) writeJson({ ...Object.fromEntries(counts), is_busy: isBusy });
    else if (isBusy) writeOut("Another sweeper is at work.\n");
    else writeOut(`${[...counts].map(([name, count]) => `${name.replaceAll("_", " ")}: ${count}`).join("\n")}\n`);
    return SUCCESS;
  },
};

/** Sweeps batch by batch, each in a transaction of its own. */
async function sweepAll(database: Database): Promise<{ counts: ReadonlyMap<string, number>; isBusy: boolean }> {
  const counts = new Map<string, number>();
  for (;;) {
    const [row = {}] = await database.query("select * from leasehold.sweep()", [], "admin");
    const { is_busy, has_more, ...done } = row;
    for (const [name, count] of Object.entries(done)) counts.set(name, (counts.get(name) ?? 0) + Number(count));
    if (has_more !== true) return { counts, isBusy: is_busy === true };
  }
}
