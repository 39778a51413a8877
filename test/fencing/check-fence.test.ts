import { expect, test } from "vitest";
import { openClient } from "../support/client.js";
import { createDatabase, createRole } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { seeded } from "../support/random.js";
import { openSession, waitsForLock } from "./session.js";

const database = await createDatabase();
const { sql } = database;

const check = (client: typeof sql, resource: string, fence: bigint | number) =>
  client`select leasehold.check_fence(${resource}, ${String(fence)}::bigint)`;
const tooOld = { code: "LH006" };

test("a larger fence passes and is remembered, an equal one passes, a smaller one is refused", async () => {
  await check(sql, "bucket/report", 5);
  await check(sql, "bucket/report", 5);
  await check(sql, "bucket/report", 7);
  await expect(check(sql, "bucket/report", 6)).rejects.toMatchObject({
    code: "LH006",
    message: "fence 6 is too old for the resource 'bucket/report'",
    detail: expect.stringMatching(/^It was used with fence 7 at \d{4}-/),
    hint: expect.stringContaining("acquire the lock again"),
  });
  await check(sql, "bucket/other", 1);
  expectLeft(database, "leases");
  const [granted] = await sql`select fence from leasehold.try_acquire('report')`;
  await check(sql, "bucket/report", BigInt(granted?.fence));
  expect([...(await sql`select resource, fence from leasehold.resource_fences order by 1`)]).toEqual([
    { resource: "bucket/other", fence: "1" },
    { resource: "bucket/report", fence: granted?.fence },
  ]);
});

test("the name may come from a column with a collation of its own", async () => {
  const checkCollated = (fence: number) =>
    sql.unsafe(`select leasehold.check_fence('collated'::text collate "en-x-icu", ${fence})`);
  await checkCollated(5);
  await checkCollated(6);
  await expect(checkCollated(5)).rejects.toMatchObject(tooOld);
});

test("an equal fence writes nothing, takes no lock and no transaction number", async () => {
  await check(sql, "equal", 5);
  const row = async () =>
    (
      await sql`select ctid::text, xmin::text, xmax::text, checked_at::text from leasehold.resource_fences where resource = 'equal'`
    )[0];
  const before = await row();
  await using session = await openSession(database);
  await session.begin();
  await check(session.sql, "equal", 5);
  expect(await session.run("select pg_current_xact_id_if_assigned() as xid")).toEqual([{ xid: null }]);
  expect(await row()).toEqual(before);
  // nor does a refusal
  await expect(check(session.sql, "equal", 4)).rejects.toMatchObject(tooOld);
  await session.rollback();
  expect(await row()).toEqual(before);
});

test.each(["a new resource", "a known one"])("who is not committed yet decides on the next: %s", async (resource) => {
  await using session = await openSession(database);
  await using other = await openSession(database);
  if (resource === "a known one") await check(sql, resource, 1);
  for (const end of ["rollback", "commit"]) {
    await session.begin();
    await check(session.sql, resource, 20);
    const smaller = check(other.sql, resource, 10);
    const settled = end === "commit" ? expect(smaller).rejects.toMatchObject(tooOld) : smaller;
    await Promise.all([settled, waitsForLock(database, other).then(() => session.run(end))]);
    await sql`delete from leasehold.resource_fences where resource = ${resource} and fence = 10`;
  }
});

test("whoever comes at once: the mark only rises, and no smaller fence passes once a larger one has", async () => {
  const next = seeded("fences from many connections");
  const sessions = await Promise.all(Array.from({ length: 12 }, () => openSession(database)));
  const passed: { fence: number; start: number; end: number }[] = [];
  let refused = 0;
  let isDone = false;
  const marks: number[] = [];
  const watching = (async () => {
    while (!isDone) {
      const [row] = await sql`select fence::int from leasehold.resource_fences where resource = 'contended'`;
      marks.push(row?.fence ?? 0);
    }
  })();
  await Promise.all(
    sessions.map(async ({ sql }, index) => {
      for (let round = 0; round < 60; round += 1) {
        const fence = 1 + round * 5 + Math.floor(next() * 40);
        const start = performance.now();
        try {
          await check(sql, "contended", fence);
          passed.push({ fence, start, end: performance.now() });
        } catch (error) {
          expect(error, `connection ${index}`).toMatchObject(tooOld);
          refused += 1;
        }
      }
    }),
  );
  isDone = true;
  await watching;

  const violations = passed.filter((late) => passed.some((one) => one.end < late.start && one.fence > late.fence));
  expect(violations).toEqual([]);
  expect(marks).toEqual([...marks].sort((a, b) => a - b));
  const [row] = await sql`select fence::int from leasehold.resource_fences where resource = 'contended'`;
  expect(row?.fence).toBe(Math.max(...passed.map(({ fence }) => fence)));
  expect(refused).toBeGreaterThan(0);
  await Promise.all(sessions.map((session) => session[Symbol.asyncDispose]()));
});

test("a mark that rises is durable when the call returns, whatever the session has set", async () => {
  await using session = await openSession(database);
  for (const [set, raised] of [
    ["off", "on"],
    ["local", "on"],
    ["remote_write", "on"],
    ["on", "on"],
    ["remote_apply", "remote_apply"],
  ]) {
    await sql`delete from leasehold.resource_fences where resource = 'durable'`;
    await session.run(`set synchronous_commit = ${set}`);
    for (const fence of [1, 2]) {
      await session.begin();
      await check(session.sql, "durable", fence);
      expect(await session.setting("synchronous_commit"), `${set}, fence ${fence}`).toBe(raised);
      await session.commit();
    }
    await session.begin();
    await check(session.sql, "durable", 2);
    expect(await session.setting("synchronous_commit")).toBe(set);
    await session.commit();
    expect(await session.setting("synchronous_commit")).toBe(set);
  }
});

test.each(["repeatable read", "serializable"] as const)(
  "under %s, where an old snapshot would decide, it is refused",
  async (isolation) => {
    await using session = await openSession(database);
    await session.begin(isolation);
    await expect(check(session.sql, "isolated", 1)).rejects.toMatchObject({ code: "LH004" });
    await session.rollback();
  },
);

test("a fence that no lock of this database can have yet is refused: it would refuse all who come after", async () => {
  expectLeft(database, "leases");
  const never = { code: "LH003", detail: expect.stringMatching(/^The largest that can have been is \d+\.$/) };
  const grant = async (key: string) => BigInt((await sql`select fence from leasehold.try_acquire(${key})`)[0]?.fence);
  for (const fence of [2n ** 63n - 1n, 2n ** 48n, (await grant("now")) + 1_000_000n]) {
    await expect(check(sql, "poison", fence)).rejects.toMatchObject({
      ...never,
      message: `fence ${fence} was never granted in this database`,
      hint: expect.stringContaining("leasehold doctor"),
    });
  }
  await check(sql, "poison", await grant("next"));

  // a key that came with a larger fence, as from a dump whose epoch was lost: it counts on from there
  await sql`insert into leasehold.leases (key, fence, ttl_ms, released_at) values ('old', ${String(2n ** 50n)}::bigint, 0, now())`;
  expect(await grant("old")).toBe(2n ** 50n + 1n);
  await check(sql, "poison", 2n ** 50n + 1n);
  await expect(check(sql, "poison", 2n ** 50n + 2n)).rejects.toMatchObject(never);
});

test("where fences come from a sequence, the last one of it is the largest that passes", async () => {
  await using own = await createDatabase();
  await own.sql`update leasehold.fence_epoch set source = 'manual', epoch = 3, base = 3, top = 3`;
  expectLeft(own, "leases");
  const [granted] = await own.sql`select fence from leasehold.try_acquire('a')`;
  const fence = BigInt(granted?.fence);
  expect(fence).toBe((3n << 48n) + 1n);
  await check(own.sql, "r", fence);
  await expect(check(own.sql, "r", fence + 1n)).rejects.toMatchObject({ code: "LH003" });
  await own.sql`select leasehold.bump_epoch()`;
  await expect(check(own.sql, "r", (4n << 48n) + 2n)).rejects.toMatchObject({ code: "LH003" });
  const [next] = await own.sql`select fence from leasehold.try_acquire('b')`;
  expect(BigInt(next?.fence)).toBe((4n << 48n) + 2n);
  await check(own.sql, "r", BigInt(next?.fence));
});

test("an administrator has a mark forgotten that refuses those who hold the lock; nobody else may", async () => {
  expectLeft(database, "leases");
  const [granted] = await sql`select fence from leasehold.try_acquire('reset')`;
  const fence = BigInt(granted?.fence);
  await sql`insert into leasehold.resource_fences values ('dead for ever', ${String(2n ** 63n - 1n)}::bigint, now())`;
  await expect(check(sql, "dead for ever", fence)).rejects.toMatchObject(tooOld);
  const [user, admin] = [await createRole(database, { grantUsage: true }), await createRole(database)];
  await sql`select leasehold.grant_admin(${admin.name})`;
  const [asUser, asAdmin] = [await openClient(user.url), await openClient(admin.url)];

  await expect(asUser`select leasehold.reset_fence('dead for ever')`).rejects.toMatchObject({ code: "42501" });
  const reset = () => asAdmin`select leasehold.reset_fence('dead for ever') as mark`;
  expect((await reset())[0]).toEqual({ mark: String(2n ** 63n - 1n) });
  expect((await reset())[0]).toEqual({ mark: null });
  await expect(asAdmin`select leasehold.reset_fence(null)`).rejects.toMatchObject({ code: "LH003" });

  await check(sql, "dead for ever", fence);
  await expect(check(sql, "dead for ever", fence - 1n)).rejects.toMatchObject(tooOld);
  await Promise.all([asUser.end(), asAdmin.end()]);
});

test.each([
  ["no resource", "null, 1"],
  ["an empty one", "'', 1"],
  ["one that is too long", "repeat('x', 513), 1"],
  ["no fence", "'r', null"],
  ["fence 0", "'r', 0"],
  ["a negative fence", "'r', -1"],
])("%s is an invalid argument", async (_, args) => {
  await expect(sql.unsafe(`select leasehold.check_fence(${args})`)).rejects.toMatchObject({
    code: "LH003",
    hint: expect.stringMatching(/./),
  });
});
