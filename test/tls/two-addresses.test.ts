// `url` (or a given client) and `directUrl`, over TLS both, or one of them: the set-up for a hosted Postgres with a pooler.
import postgres from "postgres";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { createLocker, type LockerOptions } from "../../src/index.js";
import { makeAuthority, makeCertificate } from "../support/certificate.js";
import { changeUrl } from "../support/client.js";
import { startCluster } from "../support/cluster.js";
import { createDatabase } from "../support/database.js";
import { leaseRow } from "../support/lease-row.js";
import { until } from "../support/until.js";
import { pemFiles } from "./pem-files.js";

const authority = await makeAuthority();
const certificate = await makeCertificate(authority, ["localhost", "127.0.0.1"]);
const cluster = await startCluster({ tls: { certificate, acceptsPlain: true } });
const database = await createDatabase({ on: cluster });
const { root } = await pemFiles({ root: authority.cert });
afterAll(async () => {
  await database.drop();
  await cluster.destroy();
});

const plain = changeUrl(database.url, { parameters: {} });
const encrypted = changeUrl(database.url, { parameters: { sslmode: "require" } });
const verified = changeUrl(database.url, { parameters: { sslmode: "verify-full", sslrootcert: root } });

function client(url: string, ssl: "require" | false | object): postgres.Sql {
  const sql = postgres(url, { ssl, max: 2, connection: { application_name: "the application" } });
  onTestFinished(() => sql.end({ timeout: 1 }));
  return sql;
}

const setUps: Readonly<Record<string, [options: () => LockerOptions, commands: boolean, session: boolean]>> = {
  "both over TLS": [() => ({ url: encrypted, directUrl: `${encrypted}&application_name=direct` }), true, true],
  "only url": [() => ({ url: encrypted, directUrl: plain }), true, false],
  "only directUrl": [() => ({ url: plain, directUrl: encrypted }), false, true],
  "directUrl verified in full": [() => ({ url: encrypted, directUrl: verified }), true, true],
  "a given client over TLS": [() => ({ client: client(plain, "require") }), true, true],
  "a given client that verifies": [() => ({ client: client(plain, { ca: authority.cert }) }), true, true],
  "a given client over TLS, directUrl without": [
    () => ({ client: client(plain, "require"), directUrl: plain }),
    true,
    false,
  ],
  "a given client without, directUrl over TLS": [
    () => ({ client: client(plain, false), directUrl: encrypted }),
    false,
    true,
  ],
};

test.each(Object.entries(setUps))(
  "%s: locks, outlives the end of all its connections, and closes",
  async (_, [options, commands, session]) => {
    await using locker = createLocker({ ...options(), ttlMs: 60_000, renewEveryMs: 300 });
    await using lock = await locker.acquire("a");
    await locker.withLock("b", ({ held }) => held);

    const rows = await database.sql<{ name: string; ssl: boolean }[]>`
      select distinct a.application_name as name, s.ssl from pg_stat_ssl s join pg_stat_activity a using (pid)
       where a.datname = current_database() and (a.application_name like 'leasehold %' or a.application_name = 'the application')`;
    const ofSession = rows.filter(({ name }) => name.startsWith("leasehold session"));
    const ofCommands = rows.filter(({ name }) => /^(leasehold commands|the application)/.test(name));
    expect(ofSession.map(({ ssl }) => ssl)).toEqual([session]);
    expect(new Set(ofCommands.map(({ ssl }) => ssl))).toEqual(new Set([commands]));

    for (let round = 0; round < 3; round += 1) {
      await until("there are connections to end", async () => {
        const ended = await database.sql`
          select pg_terminate_backend(pid) from pg_stat_activity
           where datname = current_database() and application_name ~ '^(leasehold |the application)'`;
        return ended.length > 0;
      });
      const { expiresAt } = await leaseRow(database.sql, "a");
      await until("it is renewed", async () => (await leaseRow(database.sql, "a")).expiresAt > expiresAt);
    }
    await until("it is held", () => lock.held);
    expect(lock.signal.aborted).toBe(false);
    await until("it works", () => locker.withLock("b", ({ held }) => held).catch(() => null));
  },
);
