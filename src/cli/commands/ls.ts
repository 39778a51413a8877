import { type Command, connectionOptions, jsonOption } from "../command.js";
import { withDatabase } from "../database.js";
import { SUCCESS } from "../exit-codes.js";
import { printRows, readView } from "../view.js";
import { activeLeases, expiredLeases } from "../views.js";

export const ls: Command = {
  name: "ls",
  summary: "list the keys that are held",
  usage: "[prefix] [options]",
  notes: "With a prefix, only keys that begin with it.",
  options: {
    expired: { text: "those whose lease has ended instead, or whose holder is dead: free for the next one" },
    ...connectionOptions,
    ...jsonOption,
  },
  positionals: ["[prefix]"],
  async run(args) {
    const view = args.has("expired") ? expiredLeases : activeLeases;
    const [prefix] = args.positionals;
    const filter =
      prefix === undefined ? undefined : ({ column: "key", operator: "starts with", value: prefix } as const);
    const rows = await withDatabase(args, (database) => readView(database, view, filter));
    printRows(view, rows, args.has("json"));
    return SUCCESS;
  },
};
