import type { Command } from "../command.js";
import { jsonOption } from "../command.js";
import { SUCCESS } from "../exit-codes.js";
import { script, wholeSchema } from "../migration-script.js";
import { writeJson, writeOut } from "../output.js";

export const sql: Command = {
  name: "sql",
  summary: "print the schema as SQL",
  usage: "[--json]",
  notes: "What it prints makes the schema in an empty database: leasehold sql | psql. It connects to nothing.",
  options: jsonOption,
  examples: [{ text: "Keep the schema for a migration tool of your own", call: "leasehold sql > leasehold.sql" }],
  positionals: [],
  async run(args) {
    const statements = await wholeSchema();
    if (args.has("json")) writeJson({ statements });
    else writeOut(script(statements));
    return SUCCESS;
  },
};
