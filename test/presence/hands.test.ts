// Presence changes hands only when the session that a lease has cannot come back.
import { expect, test } from "vitest";
import { quoteLiteral } from "../../src/runtime/quote.js";
import { openSession } from "../fencing/session.js";
import { acquireRows, expression, type NamedSession, renewRows } from "../support/acts.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { leaseRow, tokenOf } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

async function sessionOf(owner: string): Promise<NamedSession> {
  const [row] = await sql`select id, nonce::text from leasehold.sessions where owner = ${owner}`;
  return { id: row?.id, nonce: row?.nonce };
}

const own = { key: expression("l.key"), token: expression("l.token"), fence: expression("l.fence") };

const renew = (key: string, session: NamedSession | null, former: number[] = []) =>
  sql.unsafe(`
    select outcome, reason
      from leasehold.leases l, lateral ${renewRows([own], { session, takeoverMs: 4_000, former })} a
     where l.key = ${quoteLiteral(key)}`);

const repeat = (key: string, session: NamedSession | null, former: number[] = []) =>
  sql.unsafe(`
    select outcome, null as reason
      from leasehold.leases l, lateral ${acquireRows([own], { session, takeoverMs: 4_000, former })} a
     where l.key = ${quoteLiteral(key)}`);

const ways = [
  { way: "renewed", send: renew },
  { way: "granted", send: repeat },
];

test.each(ways)("a lease that is $way in the name of another session stays with its own", async ({ way, send }) => {
  await using holder = openLocker(database, { owner: `holder-${way}`, takeoverDelayMs: 5_000 });
  await using helper = openLocker(database, { owner: `helper-${way}` });
  await helper.ready();
  await using lock = await holder.acquire(way);
  const own = await sessionOf(`holder-${way}`);
  const other = await sessionOf(`helper-${way}`);
  for (const session of [other, null]) {
    expect(await send(way, session)).toEqual([{ outcome: way, reason: null }]);
    expect(await leaseRow(sql, way)).toMatchObject({ sessionId: own.id, takeoverMs: 5_000 });
  }
  // the own one's choice counts, as ever
  expect(await renew(way, own)).toEqual([{ outcome: "renewed", reason: null }]);
  expect(await leaseRow(sql, way)).toMatchObject({ sessionId: own.id, takeoverMs: 4_000 });
  // and a session that had another number takes its leases along
  expect(await send(way, other, [own.id])).toEqual([{ outcome: way, reason: null }]);
  expect(await leaseRow(sql, way)).toMatchObject({ sessionId: other.id, takeoverMs: 4_000 });
  expect(lock.held).toBe(true);
});

test("a helper that renews a lock from SQL and ends leaves it to its holder", async () => {
  await using holder = openLocker(database);
  await using helper = await openSession(database);
  await holder.acquire("shared", { ttlMs: 60_000 });
  const before = await leaseRow(sql, "shared");
  const token = await tokenOf(sql, "shared");
  const [attached] = await helper.run("select leasehold.attach('helper') as id");
  await helper.run(`select leasehold.renew('shared', '${token}', session => ${attached?.id})`);
  await helper.run(`select leasehold.renew('shared', '${token}')`);
  await helper.sql.end();
  await until(
    "the helper is gone",
    async () => (await sql`select from pg_stat_activity where pid = ${helper.pid}`).length === 0,
  );
  expect((await leaseRow(sql, "shared")).sessionId).toBe(before.sessionId);
  expectLeft(database, "sessions");
  expect(await holder.check("shared")).toMatchObject({ state: "held", isSessionAlive: true, isThisProcess: true });
});
