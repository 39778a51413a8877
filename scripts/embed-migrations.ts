// Writes src/postgres/migrations.generated.ts from the folder migrations/. With --check: fails when that is out of date.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readMigrationFiles } from "drizzle-orm/migrator";

const folder = fileURLToPath(new URL("../migrations", import.meta.url));
const target = fileURLToPath(new URL("../src/postgres/migrations.generated.ts", import.meta.url));

function generate(): string {
  const journal: { entries: { tag: string; when: number }[] } = JSON.parse(
    readFileSync(`${folder}/meta/_journal.json`, "utf8"),
  );
  let previous = 0;
  const entries = readMigrationFiles({ migrationsFolder: folder }).map((migration, index) => {
    const tag = journal.entries[index]?.tag;
    // The migrator skips, without a word, whatever is not newer than the last one that was applied.
    if (migration.folderMillis <= previous)
      throw new Error(`${tag}: "when" in the journal is not later than the one before`);
    previous = migration.folderMillis;
    const statements = migration.sql.map((statement) => `      ${JSON.stringify(statement)},\n`).join("");
    return `  {
    tag: ${JSON.stringify(tag)},
    when: ${migration.folderMillis},
    hash: ${JSON.stringify(migration.hash)},
    statements: [
${statements}    ],
  },
`;
  });
  return `// Generated from the folder migrations/ by scripts/embed-migrations.ts: do not edit.
// biome-ignore-all format: generated

/** A file of the folder, as drizzle's migrator takes it. */
export interface EmbeddedMigration {
  readonly tag: string;
  /** From the journal; the order in which they are applied. */
  readonly when: number;
  /** SHA-256 of the file. */
  readonly hash: string;
  readonly statements: readonly string[];
}

export const migrations: readonly EmbeddedMigration[] = [
${entries.join("")}];
`;
}

const generated = generate();
if (!process.argv.includes("--check")) {
  writeFileSync(target, generated);
} else if (readFileSync(target, "utf8") !== generated) {
  console.error(
    "src/postgres/migrations.generated.ts is out of date. Run: node --import tsx scripts/embed-migrations.ts",
  );
  process.exitCode = 1;
}
