import { type Command, connectionOptions, jsonOption } from "../command.js";
import { keyFilter, notePattern } from "../pattern.js";
import { readAll } from "../read-all.js";
import { printRows } from "../view.js";
import { activeLeases, expiredLeases } from "../views.js";

export const ls: Command = {
  name: "ls",
  summary: "list the keys that are held",
  usage: "[prefix or pattern] [options]",
  notes: `With a prefix, only keys that begin with it. With * (any text) or ? (one character) in it, it is a pattern for whole keys; \\*, \\? and \\\\ are
the characters themselves. Quote a pattern, or the shell may take it for names of files. A line on standard error says how one was read.
Long keys are cut in the middle where a terminal is too narrow, never in a pipe or in JSON.`,
  options: {
    expired: { text: "those whose lease has ended instead, or whose holder is dead: free for the next one" },
    ...connectionOptions,
    ...jsonOption,
  },
  examples: [
    { text: "All keys that are held", call: "leasehold ls" },
    { text: "The keys of all orders", call: "leasehold ls order:" },
    { text: "Those of every tenant's import", call: "leasehold ls 'tenant:*:import'" },
    { text: "Their owners, for a script", call: `leasehold ls order: --json | grep '"owner"'` },
  ],
  positionals: ["[prefix or pattern]"],
  async run(args) {
    const view = args.has("expired") ? expiredLeases : activeLeases;
    const [keys] = args.positionals;
    const found = await readAll(args, "ls", view, keyFilter(keys, "starts with"));
    if (!args.has("json")) notePattern(keys);
    printRows(found.view, found.rows, args.has("json"));
    return found.exitCode;
  },
};
