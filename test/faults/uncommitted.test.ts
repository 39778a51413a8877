// An acquire hangs on the server, in the middle or in its commit (a slow disk, a standby that is away), and takes effect after
// its caller gave up.
import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";
import { Gate } from "./gate.js";
import { settled } from "./settled.js";

const databases = { row: await createDatabase(), commit: await createDatabase() };
const gates = { row: await Gate.build(databases.row, "row"), commit: await Gate.build(databases.commit, "commit") };
const requestTimeoutMs = 3_000;
const commands = "leasehold commands";
const acquire = /leasehold_internal\.acquire(_first|_one)?\(/;
const abandon = /leasehold_internal\.abandon\(/;
/** What follows an answer that is dropped. */
const then = "blackhole";

const stages = ["row", "commit"] as const;
const presences = ["on", "off"] as const;
const kinds = ["missing", "free"] as const;
const places = stages.flatMap((stage) => presences.map((presence) => [stage, presence] as const));
const keys = places.flatMap((place) => kinds.map((kind) => [...place, kind] as const));

test.each(keys)(
  "a grant that commits only after its last word was first said leaves no orphan (hung at its %s, presence: %s, key: %s)",
  async (stage, presence, kind) => {
    const key = `granted-${presence}-${kind}`;
    const { sql } = databases[stage];
    const gate = gates[stage];
    await using proxy = await startProxy(databases[stage].url);
    const url = proxy.url(databases[stage].url);
    await using locker = openLocker(url, { presence, requestTimeoutMs, ttlMs: 90_000 });
    await locker.ready();
    if (kind === "free") await (await locker.acquire(key)).release();
    const grants = async () =>
      (await sql`select acquisitions::int as n from leasehold.leases where key = ${key}`)[0]?.n ?? 0;
    const before = await grants();

    await gate.shut(commands);
    const lastWord = proxy.onStatement(abandon);
    const outcome = settled(locker.acquire(key, { waitMs: 1 }), requestTimeoutMs);
    const pid = await gate.standing(commands);
    expect(await outcome).toMatchObject({ error: { name: "UnavailableError", outcome: "unknown" } });
    await lastWord;
    // on the same connection, so the last word was answered
    await locker.ping();
    expect(await gate.standing(commands)).toBe(pid);
    expect(await grants()).toBe(before);
    await gate.open();

    await until("it is committed", async () => (await grants()) === before + 1);
    await until("it is freed", async () => (await leaseRow(sql, key)).token === null);
    const { now, expiresAt } = await leaseRow(sql, key);
    expect(now).toBeLessThan(expiresAt - 45_000);
  },
);

test.each([
  ["of more new keys at once than one statement guards", Array.from({ length: 150 }, (_, n) => `new-${n}`)],
  ["of a new key that somebody else was about to make", ["stuck"]],
])("neither do grants %s", async (_, keys) => {
  const { sql, url } = databases.commit;
  const gate = gates.commit;
  await using proxy = await startProxy(url);
  await using locker = openLocker(proxy.url(url), { presence: "off", requestTimeoutMs, ttlMs: 90_000 });
  const madeByAnother = sql.begin(async (tx) => {
    await tx`insert into leasehold.leases (key, fence, ttl_ms) values ('stuck', 0, 0)`;
    expect(await locker.tryAcquire("stuck")).toBeNull();
    throw new Error("rolled back");
  });
  await expect(madeByAnother).rejects.toThrow("rolled back");

  await gate.shut(commands);
  const lastWord = proxy.onStatement(abandon);
  const outcomes = keys.map((key) => settled(locker.acquire(key, { waitMs: 1 }), requestTimeoutMs));
  await gate.standing(commands);
  for (const outcome of outcomes) expect(await outcome).toMatchObject({ error: { name: "UnavailableError" } });
  await lastWord;
  await locker.ping();
  await gate.open();

  await until("they are committed and freed", async () => {
    const rows =
      await sql`select from leasehold.leases where key in ${sql(keys)} and acquisitions = 1 and token is null`;
    return rows.length === keys.length;
  });
});

test.each(places)(
  "an entry in the queue that commits only after its last word was first said is given back (hung at its %s, presence: %s)",
  async (stage, presence) => {
    const key = `queued-${presence}`;
    const { sql } = databases[stage];
    const gate = gates[stage];
    await using other = openLocker(databases[stage]);
    await using lock = await other.acquire(key);
    await using proxy = await startProxy(databases[stage].url);
    await using locker = openLocker(proxy.url(databases[stage].url), { presence, requestTimeoutMs, ttlMs: 90_000 });
    await locker.ready();

    await gate.shut(commands);
    const lastWord = proxy.onStatement(abandon);
    const outcome = settled(locker.acquire(key, { waitMs: 1 }), requestTimeoutMs);
    const pid = await gate.standing(commands);
    expect(await outcome).toMatchObject({ error: { name: "UnavailableError", outcome: "unknown" } });
    await lastWord;
    await locker.ping();
    expect(await gate.standing(commands)).toBe(pid);
    expect(await sql`select from leasehold.waiters`).toHaveLength(0);
    await gate.open();

    await until(
      "it is committed",
      async () => (await sql`select from leasehold.leases where key = ${key} and queued`).length > 0,
    );
    await until("the queue is empty", async () => (await sql`select from leasehold.waiters`).length === 0);
    expect(lock.held).toBe(true);
  },
);

test.each(presences)(
  "a grant whose answer was lost, and whose row a stranger locks then, is freed when the stranger is done (presence: %s)",
  async (presence) => {
    const key = `locked-${presence}`;
    const { sql, url } = databases.row;
    await using proxy = await startProxy(url);
    await using locker = openLocker(proxy.url(url), { presence, requestTimeoutMs, ttlMs: 90_000 });
    await locker.ready();
    const { dropped } = proxy.dropAnswerOf(acquire, { then });
    const outcome = settled(locker.acquire(key, { waitMs: 1 }), requestTimeoutMs);
    await dropped;

    await sql.begin(async (tx) => {
      await tx`select from leasehold.leases where key = ${key} for update`;
      const lastWord = proxy.onStatement(abandon);
      expect(await outcome).toMatchObject({ error: { name: "UnavailableError", outcome: "unknown" } });
      await lastWord;
      await locker.ping();
      expect((await tx`select token from leasehold.leases where key = ${key}`)[0]?.token).not.toBeNull();
    });

    await until("it is freed", async () => (await leaseRow(sql, key)).token === null);
    const { now, expiresAt } = await leaseRow(sql, key);
    expect(now).toBeLessThan(expiresAt - 45_000);
  },
);
