// The recipe of docs/guides/nest.md: its files compile, and an application made of them runs.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { WorkerProcess } from "../support/child.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";

const execute = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));
const page = await readFile(join(root, "docs/guides/nest.md"), "utf8");
const database = await createDatabase();
await database.sql`create table orders (id int primary key, state text not null)`;

/** What `main.ts` of the page does, without a server for HTTP; and what a test asks of it. */
const main = `
import "reflect-metadata";
import { NestFactory } from "@nestjs/core";
import type { Locker } from "leasehold";
import { AppModule } from "./app.module.js";
import { LOCKER } from "./infrastructure.module.js";
import { OrdersService } from "./orders.service.js";
import { emit, serve } from "${join(root, "test/support/worker.ts")}";

serve(async () => {
  const app = await NestFactory.createApplicationContext(AppModule, { logger: ["error"] });
  app.enableShutdownHooks();
  const locker = app.get<Locker>(LOCKER);
  return {
    pay: (id: number) => app.get(OrdersService).pay(id),
    hold: async (key: string) =>
      void locker.withLock(key, async (lock) => {
        emit("held");
        await new Promise((resolve) => lock.signal.addEventListener("abort", resolve));
      }).catch(() => undefined),
  };
});
`;

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "leasehold-nest-"));
  const blocks = [...page.matchAll(/^```ts\n(.*?)^```/gms)].map(([, text = ""]) => text);
  const named = blocks.map(
    (text, index) => [/^\/\/ (\S+\.ts)\n/.exec(text)?.[1] ?? `block-${index}.ts`, text] as const,
  );
  await Promise.all(named.map(([name, text]) => writeFile(join(folder, name), text)));
  await writeFile(join(folder, "test-main.ts"), main);
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  await symlink(join(root, "test/libraries/node_modules"), join(folder, "node_modules"));
  const compilerOptions = {
    experimentalDecorators: true,
    erasableSyntaxOnly: false,
    allowImportingTsExtensions: true,
    paths: { leasehold: [join(root, "src/index.ts")] },
  };
  const settings = { extends: join(root, "tsconfig.json"), compilerOptions, include: ["*.ts"], exclude: [] };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(settings));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

beforeEach(async () => {
  await database.sql`truncate orders`;
  await database.sql`insert into orders values (7, 'open')`;
});

const env = () => ({ DATABASE_URL: database.url, TSX_TSCONFIG_PATH: join(folder, "tsconfig.json") });
const start = () => WorkerProcess.start(join(folder, "test-main.ts"), {}, { env: env() });

test("its files compile", async () => {
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const result = await execute(process.execPath, [tsc, "-p", folder]).catch((error: { stdout: string }) => error);
  expect(result.stdout).toBe("");
});

test("two applications at once pay an order once", async () => {
  await using one = await start();
  await using two = await start();

  const paid = await Promise.all([one.request("pay", 7), two.request("pay", 7)]);

  expect(paid.sort()).toEqual([false, true]);
  expect(await database.sql`select state from orders`).toEqual([{ state: "paid" }]);
  await Promise.all([one.kill("SIGTERM"), two.kill("SIGTERM")]);
});

test("SIGTERM closes the locker: the lock is let go, and the session ends, before the process does", async () => {
  await using locker = openLocker(database);
  await using app = await start();
  await app.request("hold", "busy");
  await app.next("held");
  expect(await locker.isLocked("busy")).toBe(true);

  const exit = await app.kill("SIGTERM");

  expect(exit).toEqual({ code: null, signal: "SIGTERM" }); // Nest raises it again when its hooks are done
  expect(app.stderr).toBe("");
  expect(await locker.check("busy")).toBeNull();
  const sessions =
    await database.sql`select from leasehold.sessions where pid <> all (select pid from pg_stat_activity)`;
  expect(sessions).toHaveLength(0);
});

test("its unit test runs, without a database", async () => {
  const withoutDatabase = { ...process.env, ...env(), DATABASE_URL: "" };
  const args = ["--import", import.meta.resolve("tsx"), join(folder, "orders.service.test.ts")];

  await execute(process.execPath, args, { env: withoutDatabase });
});
