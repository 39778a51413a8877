// Read locks and semaphores on the command line.
import { expect, test } from "vitest";
import { askCli, CliProcess, type CliResult, callCli } from "../support/cli.js";
import { cliProgram } from "../support/compiled.js";
import { createDatabase, createRole } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const cli = cliProgram();
const database = await createDatabase();
const { sql } = database;

const ask = (...args: string[]): Promise<CliResult> => askCli(cli, args, { url: database.url });
const words = (text: string) => text.split("\n").map((line) => line.trim().split(/ {2,}/));
const held = async (key: string) => [
  ...(await sql`select mode, weight, capacity from leasehold.active_leases where key = ${key} order by fence`),
];

test("run --shared: beside other readers, and not beside a writer", async () => {
  await using reader = new CliProcess(cli, ["run", "a", "--shared", "--", "sh", "-c", "echo in; read -r line"], {
    url: database.url,
  });
  await reader.wrote("in");
  expect(await held("a")).toEqual([{ mode: "shared", weight: 1, capacity: null }]);
  expect(await ask("run", "a", "--shared", "--no-wait", "--", "echo", "beside")).toMatchObject({
    code: 0,
    stdout: "beside\n",
  });
  expect((await ask("run", "a", "--no-wait", "-q", "-E", "9", "--", "echo", "writes")).code).toBe(9);
  reader.write("over\n");
  await reader.result;
});

test("run --capacity and --weight: as many as fit", async () => {
  await using part = new CliProcess(
    cli,
    ["run", "b", "--capacity", "3", "--weight", "2", "--", "sh", "-c", "echo in; read -r line"],
    { url: database.url },
  );
  await part.wrote("in");
  expect(await held("b")).toEqual([{ mode: "semaphore", weight: 2, capacity: 3 }]);
  const run = (...more: string[]) => ask("run", "b", "--no-wait", "-q", ...more, "--", "echo", "fits");
  expect(await run("--capacity", "3")).toMatchObject({ code: 0, stdout: "fits\n" });
  expect(await run("--capacity", "3", "--weight", "2", "-E", "9")).toMatchObject({ code: 9, stdout: "" });
  part.write("over\n");
  await part.result;
});

test.each([
  [["--shared", "--capacity", "2"], "--shared and --capacity exclude each other"],
  [["--weight", "2"], "--weight: expected --capacity <number> beside it"],
  [["--capacity", "2", "--weight", "3"], "--weight: expected at most --capacity 2, got 3"],
  [["--capacity", "0"], '--capacity: expected a whole number of 1 to 2147483647, got "0"'],
  [["--capacity", "2147483648"], '--capacity: expected a whole number of 1 to 2147483647, got "2147483648"'],
  [["--capacity", "2", "--weight", "x"], '--weight: expected a whole number of 1 to 2147483647, got "x"'],
])("run %j is refused", async (options, message) => {
  const { code, stderr } = await ask("run", "c", ...options, "--", "true");
  expect(code).not.toBe(0);
  expect(stderr.replaceAll("'", '"')).toContain(message);
});

test("ls, waiting and show: a row for each holder, with columns that nobody sees without shares", async () => {
  await using alpha = openLocker(database, { owner: "alpha" });
  await using beta = openLocker(database, { owner: "beta" });
  const alone = await alpha.acquire("alone");
  expect((await ask("ls")).stdout).not.toContain("MODE");
  const locks = [await alpha.acquire("d", { capacity: 5, weight: 2 }), await beta.acquire("d", { capacity: 5 })];
  const end = new AbortController();
  const wait = beta.acquire("d", { capacity: 5, weight: 4, signal: end.signal }).catch(() => undefined);
  await until("it waits", async () => (await sql`select from leasehold.waiting`).length === 1);

  const fences = locks.map(({ fence }) => String(fence));
  let list: string[][] = [];
  await until("no look of the waiter has the row locked", async () => {
    list = words((await ask("ls")).stdout);
    return !list.some(([, state]) => state === "blocked");
  });
  expect(list[0]?.slice(0, 7)).toEqual(["KEY", "STATE", "MODE", "WEIGHT", "CAPACITY", "FENCE", "OWNER"]);
  expect(list[1]?.slice(0, 5)).toEqual(["alone", "held", "exclusive", "-", "-"]);
  expect(list[2]?.slice(0, 7)).toEqual(["d", "held", "semaphore", "2", "5", fences[0], "alpha"]);
  expect(list[3]?.slice(0, 7)).toEqual(["d", "held", "semaphore", "1", "5", fences[1], "beta"]);
  const queue = words((await ask("waiting")).stdout);
  expect(queue[0]?.slice(0, 6)).toEqual(["KEY", "#", "MODE", "WEIGHT", "CAPACITY", "OWNER"]);
  expect(queue[1]?.slice(0, 6)).toEqual(["d", "1", "semaphore", "4", "5", "beta"]);

  const shown = await ask("show", "d");
  expect(shown.code).toBe(0);
  expect(shown.stdout.match(/^d +held/gm)).toHaveLength(2);
  expect(JSON.parse((await ask("show", "d", "--json")).stdout)).toMatchObject({
    is_free: false,
    lease: { owner: "alpha", mode: "semaphore" },
    leases: [
      { owner: "alpha", weight: 2 },
      { owner: "beta", weight: 1 },
    ],
    waiting: [{ weight: 4, capacity: 5 }],
  });
  // a role that may only lock is told of all who share it, too
  const role = await createRole(database, { grantUsage: true });
  const seen = await callCli(["show", "d", "--json"], { url: role.url });
  expect(JSON.parse(seen.stdout).leases).toMatchObject([
    { owner: "alpha", fence: fences[0], weight: 2, state: "held", remaining_ms: expect.any(Number) },
    { owner: "beta", fence: fences[1], weight: 1, state: "held", expires_at: locks[1]?.expiresAt.toISOString() },
  ]);
  end.abort();
  await wait;
  for (const lock of [alone, ...locks]) await lock.release();
});

test("release --force names all who shared the key, and waits until the one that it took has let go", async () => {
  await using alpha = openLocker(database, { owner: "alpha", keepAlive: false });
  await using beta = openLocker(database, { owner: "beta", keepAlive: false });
  const locks = [await alpha.acquire("e", { shared: true }), await beta.acquire("e", { shared: true })];
  // the oldest is not the one that was taken: that it is held says nothing
  const deaf = await ask("release", "--force", "e", "--fence", String(locks[1]?.fence), "--wait", "2s");
  expect(deaf.code).toBe(1);
  expect(deaf.stderr).toMatch(/^leasehold release: e is not free yet: its holder beta has not noticed; /);
  await using one = new CliProcess(
    cli,
    ["release", "--force", "e", "--fence", String(locks[1]?.fence), "--wait", "30s"],
    {
      url: database.url,
    },
  );
  await one.wrote("revoked");
  await locks[1]?.release().catch(() => undefined);
  const { code, stdout } = await one.result;
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^e: a share is revoked; it ends when its holder beta notices, at the latest at .*\ne: let go; alpha still has a share of it\.\n$/,
  );
  // the oldest was taken, and one that came later goes on
  const later = await beta.acquire("e", { shared: true });
  const [oldest] = locks;
  await using two = new CliProcess(
    cli,
    ["release", "--force", "e", "--fence", String(oldest?.fence), "--wait", "30s"],
    {
      url: database.url,
    },
  );
  await two.wrote("revoked");
  await oldest?.release().catch(() => undefined);
  const after = await two.result;
  expect(after.stdout).toMatch(/^e: a share is revoked; .*\ne: let go; beta still has a share of it\.\n$/);
  await later.release();
  locks[0] = await alpha.acquire("e", { shared: true });

  const again = await beta.acquire("e", { shared: true });
  const all = await ask("release", "--force", "e", "--immediate");
  expect(all.stdout).toBe("e: released; its holders alpha, beta may still believe that they have the lock.\n");
  for (const lock of [locks[0], again]) await lock?.release().catch(() => undefined);
});

test("doctor warns of capacities that differ", async () => {
  await using locker = openLocker(database);
  const locks = [await locker.acquire("api", { capacity: 5 }), await locker.acquire("api", { capacity: 3 })];
  const { stdout } = await ask("doctor");
  expect(stdout).toMatch(/capacities[\s\S]*api \(3 to 5\)/);
  for (const lock of locks) await lock.release();
});
