import { type Command, connectionOptions, jsonOption } from "../command.js";
import { readAll } from "../read-all.js";
import { printRows } from "../view.js";
import { hotKeys } from "../views.js";

export const hot: Command = {
  name: "hot",
  summary: "list the keys that most had to wait for, in the last hour",
  usage: "[options]",
  notes:
    "Each process keeps its hundred hottest keys: CONTENDED was surely counted, and AT MOST is the most that it can be.",
  options: { ...connectionOptions, ...jsonOption },
  examples: [
    { text: "The keys that most had to wait for", call: "leasehold hot" },
    { text: "For a script", call: "leasehold hot --json" },
  ],
  positionals: [],
  async run(args) {
    const { view, rows, exitCode } = await readAll(args, "hot", hotKeys);
    printRows(view, rows, args.has("json"));
    return exitCode;
  },
};
