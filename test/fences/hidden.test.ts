// Services that hide what fences are made of: the write-ahead log, or only which cluster it is. Their owner is no superuser.
import { expect, test } from "vitest";
import { changeUrl, openClient } from "../support/client.js";
import { startCluster } from "../support/cluster.js";
import { createFrom } from "../support/create-database.js";
import { openLocker } from "../support/lockers.js";
import { migrate } from "../support/migrate.js";
import { inside, replay } from "./dumps.js";

const cluster = await startCluster();
const admin = await cluster.sql();
await admin`create role owner login password 'secret'`;

const position = "pg_current_wal_insert_lsn()";
const identity = "pg_control_system()";

/** A new database of the owner's, where these functions are kept from everybody but a superuser. */
async function createHiding(name: string, ...functions: string[]): Promise<string> {
  await createFrom(cluster.url, name, "template0");
  await admin.unsafe(`alter database ${name} owner to owner`);
  await hide(name, ...functions);
  return changeUrl(cluster.url, { database: name, user: "owner", password: "secret" });
}

async function hide(name: string, ...functions: string[]): Promise<void> {
  await inside(changeUrl(cluster.url, { database: name }), async (sql) => {
    for (const hidden of functions) await sql.unsafe(`revoke execute on function ${hidden} from public`);
  });
}

const grant = (url: string, key = crypto.randomUUID()) =>
  inside(url, async (sql) => BigInt((await sql`select fence from leasehold.try_acquire(${key}, '1 s')`)[0]?.fence));
const epochOf = (url: string) =>
  inside(url, async (sql) => {
    const [row] =
      await sql`select source, base::int, top::int, system_identifier is not null as known from leasehold.fence_epoch`;
    return { ...row };
  });

/** As if the server had been started anew: what it has verified counts no more. */
const restart = (url: string) =>
  inside(url, (sql) => sql`update leasehold.fence_epoch set server_start = '2000-01-01'`);

async function warningsOf(url: string): Promise<string[]> {
  const warnings: string[] = [];
  await using locker = openLocker(url, { onError: (error) => void warnings.push((error as Error).message) });
  await locker.ready();
  await using _lock = await locker.acquire("used");
  return warnings;
}

test("where the write-ahead log is hidden, fences come from a sequence, each connect says so, and a bump raises them", async () => {
  const url = await createHiding("no_position", position);
  await migrate(url);
  expect(await epochOf(url)).toEqual({ source: "manual", base: 0, top: 0, known: true });

  expect(await warningsOf(url)).toEqual([expect.stringContaining("select leasehold.bump_epoch();")]);
  const first = await grant(url);
  expect(await grant(url)).toBe(first + 1n);
  await inside(url, (sql) => sql`select setval('leasehold.fences', 1, false)`); // as a restore does
  await inside(url, (sql) => sql`select leasehold.bump_epoch()`);
  expect(await grant(url)).toBe((1n << 48n) + 1n);
  await restart(url);
  expect(await grant(url)).toBe((1n << 48n) + 2n);
});

test("where only the cluster's identity is hidden, fences are positions all the same", async () => {
  const url = await createHiding("no_identity", identity);
  await migrate(url);
  expect(await epochOf(url)).toEqual({ source: "auto", base: 0, top: 0, known: false });

  expect(await warningsOf(url)).toEqual([]);
  await restart(url);
  const [first, second] = [await grant(url), await grant(url)];
  expect(second).toBeGreaterThan(first);
  expect(second).toBeLessThan(1n << 48n);
  expect(await epochOf(url)).toEqual({ source: "auto", base: 0, top: 0, known: false });
});

test.each([
  ["the log", "moved_position", [position]],
  ["the cluster's identity", "moved_identity", [identity]],
  ["the name of the log's file and the identity", "moved_both", ["pg_walfile_name(pg_lsn)", identity]],
])(
  "a database that is moved to where %s is hidden goes on by itself, with larger fences; and so on its way back",
  async (_, name, hidden) => {
    const vanilla = await createHiding(`${name}_from`);
    await migrate(vanilla);
    const fences = [await grant(vanilla)];
    const dump = await replay.dump(vanilla);

    const service = await createHiding(name, ...hidden);
    await dump.restore(service, "fresh");
    await restart(service); // it is another server than the one that was dumped
    fences.push(await grant(service), await grant(service));
    const onService = await epochOf(service);
    expect(onService).toMatchObject({
      base: 1,
      source: hidden.includes(identity) && hidden.length === 1 ? "auto" : "manual",
    });
    const back = await createHiding(`${name}_back`);
    await (await replay.dump(service)).restore(back, "fresh");
    await restart(back);
    fences.push(await grant(back));
    expect(await epochOf(back)).toMatchObject({ source: "auto", base: 2, known: true });

    for (const [index, fence] of fences.slice(1).entries()) expect(fence).toBeGreaterThan(fences[index] as bigint);
  },
);

test("a right that is taken away while the server runs ends no grant", async () => {
  const url = await createHiding("revoked");
  await migrate(url);
  await using locker = openLocker(url, { onError: () => {} });
  const before = await locker.withLock("a", ({ fence }) => fence);
  await hide("revoked", position, identity);

  expect(await locker.withLock("a", ({ fence }) => fence)).toBeGreaterThan(before);
  expect(await epochOf(url)).toEqual({ source: "manual", base: 1, top: 1, known: false });
});

test("who verifies the epoch waits for nobody, and two who do it at once agree", async () => {
  const url = await createHiding("at_once");
  await migrate(url);
  const last = await grant(url);
  await inside(url, (sql) => sql`update leasehold.fence_epoch set system_identifier = 1, server_start = null`); // as from elsewhere
  const [first, second] = [await openClient(url), await openClient(url)];
  const acquire = (sql: typeof first, key: string) =>
    sql`select fence >> 48 as epoch, fence from leasehold.try_acquire(${key})`;

  await first
    .begin(async (tx) => {
      const [kept] = await acquire(tx as unknown as typeof first, "kept open");
      const [other] = await acquire(second, "other");
      expect([kept?.epoch, other?.epoch]).toEqual(["1", "1"]);
      expect(BigInt(other?.fence)).toBeGreaterThan(last);
      throw new Error("rolled back");
    })
    .catch((error: Error) => expect(error.message).toBe("rolled back"));
  const [after] = await acquire(second, "after");
  expect(after?.epoch).toBe("1");
  expect(await epochOf(url)).toMatchObject({ base: 1, top: 1 });
  await Promise.all([first.end(), second.end()]);
});

test("bumps at once each raise the epoch, and none past what a fence can hold", async () => {
  const url = await createHiding("bumped");
  await migrate(url);
  const bump = () =>
    inside(url, async (sql) => BigInt((await sql`select leasehold.bump_epoch() as first`)[0]?.first) >> 48n);
  const raised = await Promise.all(Array.from({ length: 8 }, bump));
  expect(raised.map(Number).sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  await inside(url, (sql) => sql`update leasehold.fence_epoch set base = 32766, top = 32766, epoch = 32766`);
  expect(await bump()).toBe(32767n);
  expect(await grant(url)).toBeGreaterThan(32767n << 48n);
  await expect(bump()).rejects.toMatchObject({ code: "LH003" });
  await inside(url, (sql) => sql`update leasehold.fence_epoch set system_identifier = 1, server_start = null`);
  await expect(grant(url)).rejects.toMatchObject({ code: "LH004", message: expect.stringContaining("used up") });
});
