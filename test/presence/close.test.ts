import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";

const database = await createDatabase();
const { sql } = database;

test("a locker closed while its session is being made, for the first time, leaves no session behind", async () => {
  await using proxy = await startProxy(database.url);
  const locker = openLocker(proxy.url(database.url));
  const opening = proxy.holdStatement(/leasehold_internal\.open_session/);
  const ready = locker.ready().catch((error) => error);
  await opening.arrived;

  const closed = locker.close();
  await opening.forward();
  await closed;

  expect(await ready).toBeInstanceOf(Error);
  expect(await sql`select from leasehold.sessions`).toHaveLength(0);
});

test("a locker closed while its session is being made again takes back the row that the new one wrote", async () => {
  await using proxy = await startProxy(database.url);
  const locker = openLocker(proxy.url(database.url));
  await locker.ready();
  const opening = proxy.holdStatement(/leasehold_internal\.open_session/);
  const [session] = await sql`select pid from leasehold.sessions`;
  await sql`select pg_terminate_backend(${session?.pid})`;
  await opening.arrived;

  const closed = locker.close();
  await opening.forward();
  await closed;

  expect(await sql`select from leasehold.sessions`).toHaveLength(0);
});
