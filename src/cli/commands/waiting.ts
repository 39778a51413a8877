import { type Command, connectionOptions, jsonOption } from "../command.js";
import { keyFilter, notePattern } from "../pattern.js";
import { readAll } from "../read-all.js";
import { printRows } from "../view.js";
import { queuedWaiters } from "../views.js";

export const waiting: Command = {
  name: "waiting",
  summary: "list who waits for which key, and for whom",
  usage: "[key or pattern] [options]",
  notes:
    "With * (any text) or ? (one character) in it, the argument is a pattern for whole keys; \\*, \\? and \\\\ are the characters themselves.\n" +
    "A line on standard error says how one was read.",
  options: { ...connectionOptions, ...jsonOption },
  examples: [
    { text: "All queues", call: "leasehold waiting" },
    { text: "The queue of one key", call: "leasehold waiting order:42" },
    { text: "The queues of all orders", call: "leasehold waiting 'order:*'" },
  ],
  positionals: ["[key or pattern]"],
  async run(args) {
    const [keys] = args.positionals;
    const { view, rows, exitCode } = await readAll(args, "waiting", queuedWaiters, keyFilter(keys, "="));
    if (!args.has("json")) notePattern(keys);
    printRows(view, rows, args.has("json"));
    return exitCode;
  },
};
