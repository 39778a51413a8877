import { type Command, connectionOptions, jsonOption } from "../command.js";
import { withDatabase } from "../database.js";
import { SUCCESS } from "../exit-codes.js";
import { writeJson, writeOut } from "../output.js";

export const sweep: Command = {
  name: "sweep",
  summary: "clear away what is over, as every locker does now and then",
  usage: "[options]",
  options: { ...connectionOptions, ...jsonOption },
  positionals: [],
  async run(args) {
    const [row = {}] = await withDatabase(args, (database) => database.query("select * from leasehold.sweep()"));
    const counts = Object.entries(row).filter(([name]) => name !== "is_busy");
    if (args.has("json")) {
      writeJson({
        ...Object.fromEntries(counts.map(([name, count]) => [name, Number(count)])),
        is_busy: row.is_busy === true,
      });
    } else if (row.is_busy === true) writeOut("Another sweeper is at work.\n");
    else writeOut(`${counts.map(([name, count]) => `${name.replaceAll("_", " ")}: ${count}`).join("\n")}\n`);
    return SUCCESS;
  },
};
