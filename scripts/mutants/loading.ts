import type { Mutant } from "./mutant.js";

const copies = ["test/unit/two-copies.test.ts"];

/** The migrations that a package brings, and what two copies of it share in one process. */
export const loading: readonly Mutant[] = [
  {
    name: "migrate: the newest migration that was applied is applied again",
    file: "src/postgres/schema/apply-migrations.ts",
    edits: [["Number(last.created_at) >= when", "Number(last.created_at) > when"]],
    tests: ["test/migrate/embedded.test.ts"],
  },
  {
    name: "migrate: the order of the rows tells which migration is the newest",
    file: "src/postgres/schema/apply-migrations.ts",
    edits: [["order by created_at desc limit 1", "order by id desc limit 1"]],
    tests: ["test/migrate/embedded.test.ts"],
  },
  {
    name: "migrate: the books have another shape than drizzle's",
    file: "src/postgres/schema/apply-migrations.ts",
    edits: [["hash pg_catalog.text not null", "hash pg_catalog.varchar not null"]],
    tests: ["test/migrate/embedded.test.ts"],
  },
  {
    name: "copies: an error is known by its class alone",
    file: "src/errors/base.ts",
    edits: [["const symbol = Symbol.for(", "const symbol = Symbol("]],
    tests: copies,
  },
  {
    name: "copies: each has state of its own",
    file: "src/runtime/process-wide.ts",
    edits: [["const symbol = Symbol.for(", "const symbol = Symbol("]],
    tests: copies,
  },
];
