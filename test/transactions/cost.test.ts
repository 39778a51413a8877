// What a guard adds to a transaction, counted at a proxy: each message here is a round trip that is waited for.
import { describe, expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { libraries } from "./libraries.js";

const database = await createDatabase();

/**
 * Node-postgres has no transactions of its own: there the guard comes along with the `begin`. Prisma takes one statement at a
 * time, so that what finds out whether there is a transaction goes alone.
 */
const added = (name: string) => (name.endsWith("of node-postgres") ? 0 : name.startsWith("Prisma") ? 2 : 1);

describe.each(libraries)("$name", (library) => {
  test(`lock.transaction adds ${added(library.name)} round trips to the library's own`, async () => {
    await using locker = openLocker(database);
    await using proxy = await startProxy(database.url);
    await using opened = library.open(proxy.url(database.url));
    await using lock = await locker.acquire("k");
    const sent = () => proxy.statements.splice(0).map(({ sql }) => sql);
    const body = (run: (text: string) => Promise<unknown>) => run("select 1");
    await opened.plain(body); // connected
    sent();

    await opened.plain(body);
    const plain = sent();
    await opened.guarded(lock, body);
    const guarded = sent();

    expect(plain).toHaveLength(3);
    expect(guarded).toHaveLength(3 + added(library.name));
    expect(guarded.filter((text) => text.includes("leasehold_internal.guard("))).toHaveLength(1);
  });
});

test.each(libraries.filter(({ name }) => added(name) < 2))(
  "lock.guard adds one, which also finds out whether there is a transaction: $name",
  async (library) => {
    await using locker = openLocker(database);
    await using proxy = await startProxy(database.url);
    await using opened = library.open(proxy.url(database.url));
    await using lock = await locker.acquire("k");

    await opened.plain(async (run, tx) => {
      await run("select 1");
      proxy.statements.length = 0;
      await lock.guard(tx, { acceptReconnect: library.acceptReconnect });
      expect(proxy.statements.map(({ sql }) => sql)).toEqual([
        expect.stringMatching(/^savepoint leasehold_guard; release .*; select leasehold_internal\.guard\(/),
      ]);
    });
  },
);
