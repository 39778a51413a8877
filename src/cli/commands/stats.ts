import { type Command, connectionOptions, jsonOption } from "../command.js";
import { withDatabase } from "../database.js";
import { SUCCESS } from "../exit-codes.js";
import { writeJson, writeOut } from "../output.js";
import { listing, printRows, readView } from "../view.js";
import { clusterStats, statsByPrefix } from "../views.js";

export const stats: Command = {
  name: "stats",
  summary: "show what all lockers have counted",
  usage: "[--by-prefix] [options]",
  notes: "Lockers write their counters down every few seconds, so the newest are missing. Histograms are in the JSON.",
  options: {
    "by-prefix": { text: "by the first part of the keys instead" },
    ...connectionOptions,
    ...jsonOption,
  },
  examples: [
    { text: "What all lockers have counted", call: "leasehold stats" },
    { text: "Which kinds of keys are busy", call: "leasehold stats --by-prefix" },
  ],
  positionals: [],
  async run(args) {
    const view = args.has("by-prefix") ? statsByPrefix : clusterStats;
    const rows = await withDatabase(args, (database) => readView(database, view));
    const [row = {}] = rows;
    if (view === statsByPrefix) printRows(view, rows, args.has("json"));
    else if (args.has("json")) writeJson(row);
    else
      writeOut(
        `${listing({ ...view, columns: view.columns.filter(({ kind }) => kind !== "json") }, row).join("\n")}\n`,
      );
    return SUCCESS;
  },
};
