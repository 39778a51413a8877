import { type Command, connectionOptions, jsonOption } from "../command.js";
import { type Database, withDatabase } from "../database.js";
import { FAILURE, SUCCESS } from "../exit-codes.js";
import { writeJson, writeNote, writeOut } from "../output.js";
import { printable } from "../printable.js";
import { look } from "../show/look.js";
import { styleFor, widthFor } from "../style.js";
import { type Data, listing, nameOf, type View, viewLines } from "../view.js";
import { activeLeases, expiredLeases, queuedWaiters } from "../views.js";

export const show: Command = {
  name: "show",
  summary: "show all about one key: its lease, what keeps it, and who waits",
  usage: "<key> [options]",
  notes:
    "Exit code 1 when the key is free: it would be granted to who asks now, or to the first in its queue.\nA role that may only lock is shown what `check` tells it; the queue and the session need leasehold.grant_monitoring.",
  options: { ...connectionOptions, ...jsonOption },
  examples: [
    { text: "Who holds a key, and who waits for it", call: "leasehold show order:42" },
    { text: "A key that begins with a dash", call: "leasehold show -- -key" },
  ],
  positionals: ["<key>"],
  async run(args) {
    const [key = ""] = args.positionals;
    const ask = async (database: Database) => ({ ...(await look(database, key)), instance: database.address.instance });
    const shown = await withDatabase(args, ask, { key });
    const { leases, ended, waiters, isFirstGrant, missingRight, instance } = shown;
    const [lease = null] = leases;
    const isFree = lease === null;
    if (missingRight !== null)
      writeNote(
        `leasehold show: the queue and the holder's session need a right. As the schema's owner run: ${missingRight}`,
      );
    if (args.has("json")) {
      const where = instance === null ? {} : { instance };
      writeJson({ key, ...where, is_free: isFree, lease, leases, expired_lease: ended, waiting: waiters });
      return isFree ? FAILURE : SUCCESS;
    }
    const parts: string[][] = instance === null ? [] : [[`On instance ${instance}:`]];
    const options = { width: widthFor(process.stdout), style: styleFor(process.stdout) };
    if (leases.length > 1) parts.push(viewLines(activeLeases, leases, options));
    else if (lease !== null) parts.push(listing(seen(activeLeases, lease), lease));
    if (isFirstGrant) parts.push(["It was granted for the first time, in a transaction that has not committed yet."]);
    if (ended !== null && isFree)
      parts.push([
        "The lease has ended, and the key is free for the next one.",
        ...listing(seen(expiredLeases, ended), ended),
      ]);
    else if (isFree) parts.push([`${printable(key)} is free.`]);
    if (waiters !== null && waiters.length > 0) parts.push(viewLines(queuedWaiters, waiters, options));
    writeOut(`${parts.map((lines) => lines.join("\n")).join("\n\n")}\n`);
    return isFree ? FAILURE : SUCCESS;
  },
};

/** Without the columns that this role may not see. */
function seen(view: View, row: Data): View {
  return { ...view, columns: view.columns.filter((column) => nameOf(column) in row) };
}
