// The examples of docs/guarded-writes.md for these libraries, against their real types. test/readme.test.ts has only their shapes.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const execute = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));

const surroundings = `
import type { MikroORM } from "@mikro-orm/postgresql";
import type { Knex } from "knex";
import type { Lock } from "leasehold";
import type { Sequelize } from "sequelize";
import type { DataSource } from "typeorm";
declare global {
  const lock: Lock;
  const dataSource: DataSource;
  const knex: Knex;
  const orm: MikroORM;
  const sequelize: Sequelize;
}
`;

test("they compile", async () => {
  const page = await readFile(join(root, "docs/guarded-writes.md"), "utf8");
  // one block has an example for each library, after a comment that names it
  const examples = page
    .split(/^(?=\/\/ |```)/m)
    .filter((text) => /^\/\/ (TypeORM|Knex|MikroORM|Sequelize)\b/.test(text));
  expect(examples).toHaveLength(4);
  const folder = await mkdtemp(join(tmpdir(), "leasehold-documented-"));
  try {
    await writeFile(join(folder, "examples.ts"), `${examples.join("")}\nexport {};\n`);
    await writeFile(join(folder, "surroundings.d.ts"), surroundings);
    await writeFile(join(folder, "package.json"), '{ "type": "module" }');
    await symlink(join(root, "test/libraries/node_modules"), join(folder, "node_modules"));
    const compilerOptions = { paths: { leasehold: [join(root, "src/index.ts")] } };
    const settings = { extends: join(root, "tsconfig.json"), compilerOptions, include: ["*.ts"], exclude: [] };
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify(settings));

    const tsc = join(root, "node_modules/typescript/bin/tsc");
    const result = await execute(process.execPath, [tsc, "-p", folder]).catch((error: { stdout: string }) => error);

    expect(result.stdout).toBe("");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
