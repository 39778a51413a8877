import { type Command, connectionOptions, jsonOption } from "../command.js";
import { writeNote } from "../output.js";
import { readAll } from "../read-all.js";
import { printRows } from "../view.js";
import { liveSessions } from "../views.js";

export const sessions: Command = {
  name: "sessions",
  summary: "list the processes that hold locks",
  usage: "[options]",
  notes:
    "Without --all, only those that are connected. The others have died, and were not swept yet, or are reconnecting.",
  options: {
    all: { text: "those too that are dead, or reconnecting" },
    ...connectionOptions,
    ...jsonOption,
  },
  examples: [
    { text: "The processes that are alive", call: "leasehold sessions" },
    { text: "Those too that have died, or are reconnecting", call: "leasehold sessions --all" },
  ],
  positionals: [],
  async run(args) {
    const { view, rows, exitCode } = await readAll(args, "sessions", liveSessions);
    const shown = args.has("all") ? rows : rows.filter(({ is_alive }) => is_alive === true);
    printRows(view, shown, args.has("json"));
    const hidden = rows.length - shown.length;
    if (hidden > 0 && !args.has("json"))
      writeNote(`${hidden} not shown, dead or reconnecting: leasehold sessions --all`);
    return exitCode;
  },
};
