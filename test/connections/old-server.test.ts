// A Postgres that is too old. Where the tests run on one (`npm run matrix -- --only pg13`), it is the real thing; elsewhere a proxy tells the
// version of one in the server's place.
import { expect, test } from "vitest";
import { runCli } from "../support/cli.js";
import { openClient } from "../support/client.js";
import { cliProgram } from "../support/compiled.js";
import { createDatabase, createEmptyDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";

const empty = await createEmptyDatabase();
const [server] = await empty.sql`
  select current_setting('server_version') as version, current_setting('server_version_num') as number`;
const { version, number } = server as { version: string; number: string };
const isOld = Number.parseInt(version, 10) < 14;
/** As long as the real one, for it stands in messages that tell their length. */
const older = (text: string) => (isOld ? text : text.replace(/^\d\d/, "13"));
const oldVersion = older(version);

/** In the rows of answers. */
function tellOldVersion(message: Buffer): Buffer {
  if (message[0] !== "D".charCodeAt(0)) return message;
  const text = message.toString("latin1");
  return Buffer.from(text.replaceAll(version, oldVersion).replaceAll(number, older(number)), "latin1");
}

const refusal = {
  name: "UnsupportedError",
  code: "unsupported",
  message: `This server is Postgres ${oldVersion}: Leasehold needs Postgres 14 or newer. Nothing was done. Upgrade the server.`,
};

test.for([{ presence: "on" }, { presence: "off" }] as const)(
  "a Postgres before 14 is refused by its version, and nothing is written (presence $presence)",
  async ({ presence }) => {
    await using proxy = await startProxy(empty.url, { rewrite: tellOldVersion });
    await using locker = openLocker(proxy.url(empty.url), presence === "off" ? { presence } : {});
    const statements = proxy.statements.length;

    const [ready, acquire, migrate] = await Promise.allSettled([
      locker.ready(),
      locker.acquire("old"),
      locker.migrate(),
    ]);

    expect(ready).toMatchObject({ status: "rejected", reason: refusal });
    expect(acquire).toMatchObject({ status: "rejected", reason: refusal });
    expect(migrate).toMatchObject({ status: "rejected", reason: refusal });
    expect(proxy.statements.length).toBeGreaterThan(statements); // it was asked
    expect(await empty.sql`select from pg_namespace where nspname like 'leasehold%'`).toHaveLength(0);
  },
);

test("it is refused over the user's own client", async () => {
  await using proxy = await startProxy(empty.url, { rewrite: tellOldVersion });
  const client = await openClient(proxy.url(empty.url));
  await using locker = openLocker(proxy.url(empty.url), { client });

  const [ready, migrate] = await Promise.allSettled([locker.ready(), locker.migrate()]);

  await locker.close();
  await client.end();
  expect(ready).toMatchObject({ status: "rejected", reason: refusal });
  expect(migrate).toMatchObject({ status: "rejected", reason: refusal });
});

test("doctor says so, and goes on to tell the rest", async () => {
  await using proxy = await startProxy(empty.url, { rewrite: tellOldVersion });
  const { code, stdout } = await runCli(cliProgram(), ["doctor"], { url: proxy.url(empty.url) });
  expect(code).toBe(1);
  expect(stdout).toMatch(new RegExp(`problem +versions .*Postgres ${oldVersion.replace(/\W/g, "\\$&")}`));
  expect(stdout).toContain("Leasehold needs Postgres 14 or newer");
  expect(stdout).toContain("has no schema leasehold");
});

test.skipIf(isOld)("a server that was migrated is refused once it says that it is older", async () => {
  await using database = await createDatabase();
  await using proxy = await startProxy(database.url, { rewrite: tellOldVersion });
  await using locker = openLocker(proxy.url(database.url));
  const acquire = await locker.acquire("old").catch((error: unknown) => error);
  expect(acquire).toMatchObject(refusal);
  expect(await database.sql`select from leasehold.sessions`).toHaveLength(0);
});
