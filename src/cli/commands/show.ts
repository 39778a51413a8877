import { type Command, connectionOptions, jsonOption } from "../command.js";
import { withDatabase } from "../database.js";
import { SUCCESS } from "../exit-codes.js";
import { writeJson, writeOut } from "../output.js";
import { printable } from "../printable.js";
import { styleFor, widthFor } from "../style.js";
import { type Filter, listing, readView, viewLines } from "../view.js";
import { activeLeases, expiredLeases, queuedWaiters } from "../views.js";

export const show: Command = {
  name: "show",
  summary: "show all about one key: its lease and who waits",
  usage: "<key> [options]",
  options: { ...connectionOptions, ...jsonOption },
  examples: [
    { text: "Who holds a key, and who waits for it", call: "leasehold show order:42" },
    { text: "A key that begins with a dash", call: "leasehold show -- -key" },
  ],
  positionals: ["<key>"],
  async run(args) {
    const [key = ""] = args.positionals;
    const filter: Filter = { column: "key", operator: "=", value: key };
    const { lease, expired, waiters } = await withDatabase(args, async (database) => ({
      lease: (await readView(database, activeLeases, filter))[0] ?? null,
      expired: (await readView(database, expiredLeases, filter))[0] ?? null,
      waiters: await readView(database, queuedWaiters, filter),
    }));
    if (args.has("json")) {
      writeJson({ key, lease, expired_lease: expired, waiting: waiters });
      return SUCCESS;
    }
    const parts: string[][] = [];
    if (lease !== null) parts.push(listing(activeLeases, lease));
    if (expired !== null)
      parts.push(["The lease has ended, and the key is free for the next one.", ...listing(expiredLeases, expired)]);
    if (parts.length === 0) parts.push([`Nobody holds ${printable(key)}.`]);
    const options = { width: widthFor(process.stdout), style: styleFor(process.stdout) };
    if (waiters.length > 0) parts.push(viewLines(queuedWaiters, waiters, options));
    writeOut(`${parts.map((lines) => lines.join("\n")).join("\n\n")}\n`);
    return SUCCESS;
  },
};
