// What it adds to a transaction, counted at a proxy: each message here is a round trip that is waited for.
import { expect, test } from "vitest";
import { advisoryLock } from "../../src/index.js";
import { createEmptyDatabase } from "../support/database.js";
import { startProxy } from "../support/proxy.js";
import { libraries } from "../transactions/libraries.js";

const database = await createEmptyDatabase();

/** Prisma takes one statement at a time; of several, Kysely gives no rows. */
const added = (name: string) => (/^(Prisma|Kysely)/.test(name) ? 2 : 1);

test.each(libraries.map((library) => ({ library, name: library.name, messages: added(library.name) })))(
  "$messages: $name",
  async ({ library, messages }) => {
    await using proxy = await startProxy(database.url);
    await using opened = library.open(proxy.url(database.url));
    const sent: string[][] = [];

    await opened.plain(async (run, tx) => {
      await run("select 1");
      for (const waitMs of [undefined, 1_000, 0]) {
        proxy.statements.length = 0;
        await advisoryLock(tx, "a", { waitMs, acceptReconnect: library.acceptReconnect });
        sent.push(proxy.statements.map(({ sql }) => sql));
      }
    });

    expect(sent.map(({ length }) => length)).toEqual([messages, messages, messages]);
    expect(sent.flat().filter((text) => text.includes("advisory_xact_lock"))).toHaveLength(3);
  },
);
