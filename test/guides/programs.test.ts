// The programs of the guides, each as a process of its own, against a real Postgres; and the SQL that they need.
import { describe, expect, test } from "vitest";
import { CliProcess } from "../support/cli.js";
import { cliProgram } from "../support/compiled.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLocker } from "../support/lockers.js";
import { withFreePort } from "../support/ports.js";
import { until } from "../support/until.js";
import { blocks, prepareProgram } from "./pages.js";

const database = await createDatabase();

describe("cron", () => {
  test("of several machines one does the job, and a late one skips it", async () => {
    expectLeft(database, "leases"); // its minimum hold
    const start = await prepareProgram("report.ts");
    const together = [start(database.url), start(database.url), start(database.url)];
    const results = await Promise.all(together.map(({ result }) => result));
    const late = await start(database.url).result;

    for (const { code, stderr } of [...results, late]) expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(results.filter(({ stdout }) => /^report, with fence \d+$/m.test(stdout))).toHaveLength(1);
    expect(results.filter(({ stdout }) => stdout.startsWith("skipped: "))).toHaveLength(2);
    expect(late.stdout).toMatch(/^skipped: /);
  });

  test("the line of the crontab does it once, says nothing about the rest, and keeps the job's exit code", async () => {
    expectLeft(database, "leases");
    const cli = cliProgram();
    const [line = ""] = blocks("sh", "docs/guides/cron.md").map(({ text }) => text.trim());
    const [, options = ""] = /^0 3 \* \* \* {2}leasehold run report:daily (.+) -- \S+$/.exec(line) ?? [];
    expect(options).not.toBe("");
    const run = (key: string, command: string) =>
      new CliProcess(cli, ["run", key, ...options.split(" "), "--", "sh", "-c", command], { url: database.url }).result;

    expect(await run("job", "echo done")).toEqual({ code: 0, stdout: "done\n", stderr: "" });
    expect(await run("job", "echo done twice")).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(await run("failing", "exit 7")).toMatchObject({ code: 7 });
  });

  test("a job that counts is done once a day, however often it is started", async () => {
    for (const { text } of blocks("sql", "docs/guides/cron.md")) await database.sql.unsafe(text);
    const start = await prepareProgram("daily.ts");
    const results = await Promise.all([start(database.url), start(database.url)].map(({ result }) => result));
    expect(results.map(({ stdout }) => stdout).sort()).toEqual(["does it\n", "done already\n"]);
    expect(results.map(({ code }) => code)).toEqual([0, 0]);
  });
});

test("several keys: two transfers in opposite directions both end, and the money is all there", async () => {
  for (const { text } of blocks("sql", "docs/guides/several-keys.md")) await database.sql.unsafe(text);
  const start = await prepareProgram("transfer.ts");
  const results = await Promise.all([start(database.url), start(database.url)].map(({ result }) => result));
  const balances = await database.sql`select balance from accounts order by id`;
  await database.sql`drop table accounts`;
  for (const result of results) expect(result).toEqual({ code: 0, stdout: "both are done\n", stderr: "" });
  expect(balances).toEqual([{ balance: 90 }, { balance: 110 }]);
});

test("read locks and semaphores: two read, a writer waits and stops the third, and no more run than the capacity", async () => {
  const [readers, upstream] = [await prepareProgram("readers.ts"), await prepareProgram("upstream.ts")];
  expect(await readers(database.url).result).toEqual({
    code: 0,
    stdout: "two read: true\na third, while a writer waits: null\none writes: exclusive\n",
    stderr: "",
  });
  expect(await upstream(database.url).result).toEqual({ code: 0, stdout: "3 at a time\n", stderr: "" });
});

test("handing over: the child goes on with the fence of its parent, which has closed its locker", async () => {
  const start = await prepareProgram("import.ts");
  const { code, stdout, stderr } = await start(database.url).result;
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const [, taken, adopted] = /^took it, with fence (\d+)\ngoes on, with fence (\d+)\n$/.exec(stdout) ?? [];
  expect(taken).toBeDefined();
  expect(adopted).toBe(taken);
  expect(await database.sql`select token from leasehold.leases where key = 'import:prices'`).toEqual([{ token: null }]);
});

test("a leader: the next one takes over after a crash, stands again after a loss, and leaves in order", async () => {
  expectLeft(database, "sessions"); // of the one that is killed
  const start = await prepareProgram("leader.ts");
  await using locker = openLocker(database);
  const fence = async () => (await locker.check("leader:scheduler"))?.fence ?? null;

  await using first = start(database.url);
  await first.wrote(/^leads/m);
  await using second = start(database.url);
  await until("the second one waits", async () => (await locker.check("leader:scheduler"))?.waiters === 1);
  expect(second.stdout).toBe("");

  first.kill("SIGKILL");
  await second.wrote(/^leads/m);

  const before = await fence();
  await locker.forceRelease("leader:scheduler");
  await second.wrote(/^leads no more: Lost the lock .*\nleads, with fence \d+$/m);
  expect(await fence()).toBeGreaterThan(before ?? 0n);

  second.kill("SIGTERM");
  expect(await second.result).toMatchObject({ code: 0, stdout: expect.stringMatching(/\nstopped\n$/) });
  expect(await locker.check("leader:scheduler")).toBeNull();
});

test("shutdown: the work that has begun is finished, who waits is told, and the key is free at once", async () => {
  const start = await prepareProgram("server.ts");
  await using locker = openLocker(database);
  await withFreePort(async (port) => {
    await using server = start(database.url, { PORT: String(port) });
    const get = () => fetch(`http://127.0.0.1:${port}/`);
    const works = await until("it listens", () => get().catch(() => null));
    expect(await works.text()).toBe("done\n");

    const answers = [get(), get()];
    await until("one works, one waits", async () => (await locker.check("import"))?.waiters === 1);
    server.kill("SIGTERM");

    const texts = await Promise.all(
      answers.map(async (answer) => [(await answer).status, await (await answer).text()]),
    );
    expect(texts.sort()).toEqual([
      [200, "done\n"],
      [503, expect.stringContaining("ClosedError")],
    ]);
    expect(await server.result).toMatchObject({ code: 0, stderr: "" });
    expect(await locker.check("import")).toBeNull();
  });
});

test.each(["payment.test.ts", "pay.test.ts", "meet.test.ts"])("testing: the tests of %s pass", async (name) => {
  const start = await prepareProgram(name);
  const { code, stdout } = await start(database.url).result;
  expect(stdout).toMatch(/^\S+ pass [23]$/m);
  expect(code, stdout).toBe(0);
});

test("stores: under the test runner of Node the tests of store.test.ts pass, each of them", async () => {
  const start = await prepareProgram("store.test.ts");
  const { code, stdout } = await start(database.url).result;
  expect(Number(/^\S+ pass (\d+)$/m.exec(stdout)?.[1]), stdout).toBeGreaterThan(50);
  expect(code, stdout).toBe(0);
});

test.each(blocks("sql").filter(({ page }) => !/operations|cron/.test(page)))(
  "$page: its SQL runs",
  async ({ text }) => {
    await using fresh = await createDatabase();
    await fresh.sql.unsafe(text);
    expectLeft(fresh, "leases");
  },
);
