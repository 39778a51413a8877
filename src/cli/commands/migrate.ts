import { type Command, connectionOptions, jsonOption } from "../command.js";
import { withDatabase } from "../database.js";
import { SUCCESS } from "../exit-codes.js";
import { pendingMigration, script } from "../migration-script.js";
import { printError, writeJson, writeOut } from "../output.js";
import { withLocker } from "../with-locker.js";

export const migrate: Command = {
  name: "migrate",
  summary: "create or update the schema",
  usage: "[--grant-to <role>] [--dry-run] [options]",
  notes:
    "Safe when many processes do it at once, and when one of them dies meanwhile. Run it as a role that may create schemas.\n" +
    "With --dry-run nothing is changed, and what would be run is printed for psql; nothing is printed when all is done.",
  options: {
    "grant-to": { value: "<role>", isRepeatable: true, text: "a role that may lock afterwards; may be repeated" },
    "dry-run": { text: "print the SQL and change nothing" },
    ...connectionOptions,
    ...jsonOption,
  },
  examples: [
    { text: "Make the schema, and let the role of the application lock", call: "leasehold migrate --grant-to app" },
    { text: "See what would be run, for review", call: "leasehold migrate --dry-run > leasehold.sql" },
  ],
  positionals: [],
  async run(args) {
    const roles = args.texts("grant-to");
    const isDryRun = args.has("dry-run");
    const statements = await withDatabase(args, (database) => pendingMigration(database, roles), {
      trustsOwners: true,
    });
    if (!isDryRun && statements.length > 0) {
      // While it waits for somebody, it says for whom.
      const onError = (error: unknown): void => printError("leasehold migrate", error, args.has("json"));
      await withLocker(args, { onError }, (locker) => locker.migrate({ grantTo: roles }));
    }
    if (args.has("json"))
      writeJson({ is_dry_run: isDryRun, is_changed: statements.length > 0 && !isDryRun, statements });
    else if (isDryRun) writeOut(statements.length === 0 ? "" : script(statements));
    else writeOut(statements.length === 0 ? "The schema is up to date.\n" : "The schema was migrated.\n");
    return SUCCESS;
  },
};
