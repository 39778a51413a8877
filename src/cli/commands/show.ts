import { type Command, connectionOptions, jsonOption } from "../command.js";
import { type Database, withDatabase } from "../database.js";
import { FAILURE, SUCCESS } from "../exit-codes.js";
import { writeJson, writeOut } from "../output.js";
import { printable } from "../printable.js";
import { styleFor, widthFor } from "../style.js";
import { type Data, type Filter, listing, nameOf, readView, viewLines } from "../view.js";
import { activeLeases, expiredLeases, queuedWaiters } from "../views.js";

export const show: Command = {
  name: "show",
  summary: "show all about one key: its lease, what keeps it, and who waits",
  usage: "<key> [options]",
  notes: "Exit code 1 when the key is free: it would be granted to who asks now, or to the first in its queue.",
  options: { ...connectionOptions, ...jsonOption },
  examples: [
    { text: "Who holds a key, and who waits for it", call: "leasehold show order:42" },
    { text: "A key that begins with a dash", call: "leasehold show -- -key" },
  ],
  positionals: ["<key>"],
  async run(args) {
    const [key = ""] = args.positionals;
    const { lease, ended, waiters, isFirstGrant } = await withDatabase(args, (database) => look(database, key));
    const isFree = lease === null;
    if (args.has("json")) {
      writeJson({ key, is_free: isFree, lease, expired_lease: ended, waiting: waiters });
      return isFree ? FAILURE : SUCCESS;
    }
    const parts: string[][] = [];
    if (lease !== null) parts.push(listing(activeLeases, lease));
    if (isFirstGrant) parts.push(["It was granted for the first time, in a transaction that has not committed yet."]);
    if (ended !== null)
      parts.push(["The lease has ended, and the key is free for the next one.", ...listing(expiredLeases, ended)]);
    else if (isFree) parts.push([`${printable(key)} is free.`]);
    const options = { width: widthFor(process.stdout), style: styleFor(process.stdout) };
    if (waiters.length > 0) parts.push(viewLines(queuedWaiters, waiters, options));
    writeOut(`${parts.map((lines) => lines.join("\n")).join("\n\n")}\n`);
    return isFree ? FAILURE : SUCCESS;
  },
};

interface Shown {
  /** Null when the key is free. */
  readonly lease: Data | null;
  readonly ended: Data | null;
  readonly waiters: readonly Data[];
  /** Whether the key has no row that anybody could see, but will have one when somebody's transaction commits. */
  readonly isFirstGrant: boolean;
}

async function look(database: Database, key: string): Promise<Shown> {
  const filter: Filter = { column: "key", operator: "=", value: key };
  const [lease = null] = await readView(database, activeLeases, filter);
  const [ended = null] = await readView(database, expiredLeases, filter);
  const waiters = await readView(database, queuedWaiters, filter);
  const first = lease === null && ended === null ? await firstGrant(database, key) : null;
  return { lease: lease ?? first, ended, waiters, isFirstGrant: first !== null };
}

/** What no view can show, as a row of `active_leases`. On a standby nothing is known of transactions. */
async function firstGrant(database: Database, key: string): Promise<Data | null> {
  if (database.hello.isStandby) return null;
  const [row] = await database.query(
    "select c.state, c.waiters, c.blocking_pid, c.blocking_transaction from leasehold.check($1::pg_catalog.text) c",
    [key],
    "monitoring",
  );
  if (row === undefined || row.state === "free") return null;
  const nothing = Object.fromEntries(activeLeases.columns.map((column) => [nameOf(column), null]));
  return { ...nothing, key, ...row };
}
