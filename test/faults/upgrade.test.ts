// The next version's migration is applied while clients of this one work.
import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

/** What a next version might do, in one transaction as migrate() runs it. `minClient` says who can live with it. */
const nextMigration = (definition: string, minClient: number) => `
  begin;
  set local lock_timeout = '2s';
  alter table leasehold.leases add column region text;
  alter table leasehold.waiters add column priority integer not null default 0;
  alter table leasehold.sessions add column region text;
  create table leasehold.made_up (name text primary key, value bigint not null);
  ${definition.replace("$function$\n", "$function$\n-- another body\n")};
  insert into leasehold.schema_version (version, min_client) values (3, ${minClient});
  commit;`;

const definitionOf =
  "select pg_get_functiondef(oid) as text from pg_proc where proname = 'renew' and pronamespace = 'leasehold_internal'::regnamespace";

test("a client works, waits and renews while the next migration is applied, and goes on after it", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  await using locker = openLocker(database, { ttlMs: 20_000, renewEveryMs: 100 });
  await using other = openLocker(database);
  const held = await locker.acquire("held");
  const { signal } = held;
  const waiting = other.acquire("held");
  await until("it is in the queue", async () => (await sql`select from leasehold.waiters`).length === 1);
  let isOver = false;
  const fences: bigint[] = [];
  const working = (async () => {
    while (!isOver) fences.push(await locker.withLock("work", ({ fence }) => fence));
  })();
  await until("it works", () => fences.length > 10);
  const [definition] = await sql.unsafe(definitionOf);

  await sql.unsafe(nextMigration(definition?.text, 1));
  const [atMigration, { expiresAt }] = [fences.length, await leaseRow(sql, "held")];
  await until("it goes on", () => fences.length > atMigration + 20);
  await until("it is renewed", async () => (await leaseRow(sql, "held")).expiresAt > expiresAt + 300);

  isOver = true;
  await working;
  expect(signal.aborted).toBe(false);
  expect(held.held).toBe(true);
  expect(fences).toEqual([...new Set(fences)].sort((a, b) => (a < b ? -1 : 1)));
  await held.release();
  await (await waiting).release();
  // an old client that starts only now, and its migrate(), leave the newer schema alone
  await using late = openLocker(database);
  await late.migrate();
  expect(await late.withLock("work", (lock) => lock.held)).toBe(true);
  expect(await sql`select max(version) as version from leasehold.schema_version`).toEqual([{ version: 3 }]);
});

test("a schema that cannot live with this client refuses whoever connects from now on", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  const [definition] = await sql.unsafe(definitionOf);
  await sql.unsafe(nextMigration(definition?.text, 3));

  for (const presence of ["on", "off"] as const) {
    await using locker = openLocker(database, { presence });
    const refusal = {
      name: "UnsupportedError",
      message: expect.stringMatching(/version 3 and needs a client of version 3/),
    };
    await expect(locker.ready()).rejects.toMatchObject(refusal);
    await expect(locker.acquire("a")).rejects.toMatchObject(refusal);
    await expect(locker.tryAcquire("a")).rejects.toMatchObject(refusal);
    await expect(locker.check("a")).rejects.toMatchObject(refusal);
    await expect(locker.migrate()).rejects.toMatchObject({ name: "UnsupportedError" });
  }
  expect(await sql`select from leasehold.leases`).toHaveLength(0);
});
