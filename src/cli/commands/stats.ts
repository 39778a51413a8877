import { type Command, connectionOptions, jsonOption } from "../command.js";
import { writeJson, writeOut } from "../output.js";
import { readAll } from "../read-all.js";
import { listing, printRows } from "../view.js";
import { clusterStats, statsByPrefix } from "../views.js";

export const stats: Command = {
  name: "stats",
  summary: "show what all lockers have counted",
  usage: "[--by-prefix] [options]",
  notes:
    "Lockers write their counters down every few seconds, so the newest are missing. Histograms are in the JSON.\nEach instance has counters of its own.",
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
    const isJson = args.has("json");
    const { rows, exitCode, hasInstances, ...read } = await readAll(args, "stats", view);
    if (view === statsByPrefix) printRows(read.view, rows, isJson);
    else if (isJson) writeJson(hasInstances ? rows : (rows[0] ?? {}));
    else {
      const shown = { ...read.view, columns: read.view.columns.filter(({ kind }) => kind !== "json") };
      writeOut(rows.map((row) => `${listing(shown, row).join("\n")}\n`).join("\n"));
    }
    return exitCode;
  },
};
