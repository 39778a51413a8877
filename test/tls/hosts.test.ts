// An address with several hosts, over TLS: each is verified by its own name, and one that fails gives way to the next.
import { expect, test } from "vitest";
import { settled } from "../faults/settled.js";
import { makeAuthority, makeCertificate } from "../support/certificate.js";
import { createDatabase } from "../support/database.js";
import { fakeServer } from "../support/fake-server.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";
import { pemFiles } from "./pem-files.js";
import { reasons } from "./reasons.js";

const authority = await makeAuthority();
const database = await createDatabase();
const { root } = await pemFiles({ root: authority.cert });

/** The database's address at these hosts. The class URL knows one host only. */
function at(hosts: readonly string[], sslmode = "verify-full"): string {
  const { username, password, pathname } = new URL(database.url);
  const parameters = new URLSearchParams({ sslmode, sslrootcert: root });
  return `postgres://${username}:${password}@${hosts.join(",")}${pathname}?${parameters}`;
}

test("the first that verifies is used: not one that is closed, hangs up, has no TLS, is a stranger's, or has another's name", async () => {
  await using hangsUp = await fakeServer((socket) => socket.end());
  await using withoutTls = await fakeServer((socket) => socket.once("data", () => socket.write("N")));
  const strange = await makeCertificate(await makeAuthority("A stranger"), ["127.0.0.1"]);
  await using stranger = await startProxy(database.url, { certificate: strange });
  await using other = await startProxy(database.url, { certificate: await makeCertificate(authority, ["localhost"]) });
  const bad = [1, hangsUp.port, withoutTls.port, stranger.port, other.port].map((port) => `127.0.0.1:${port}`);

  await using locker = openLocker(at([...bad, `localhost:${other.port}`]), { requestTimeoutMs: 20_000 });
  expect(await locker.withLock("a", ({ held }) => held)).toBe(true);
  expect(stranger.statements).toEqual([]);

  await using nowhere = openLocker(at(bad), { requestTimeoutMs: 20_000 });
  const { error } = await settled(nowhere.ready(), 20_000);
  expect(error).toMatchObject({ name: "UnavailableError", outcome: "not-sent" });
  // the last host's first, then those of the others
  expect(reasons(error)).toMatch(/ERR_TLS_CERT_ALTNAME_INVALID/);
  for (const place of bad) expect((error as Error).message).toContain(place);
  expect((error as Error).message).toMatch(/127\.0\.0\.1:1: nothing listens there \(ECONNREFUSED\)\./);
});

test.each(["refuses", "is silent"] as const)("a lock goes on over the second host when the first %s", async (how) => {
  const key = `moves: ${how}`;
  const certificate = await makeCertificate(authority, ["127.0.0.1"]);
  await using first = await startProxy(database.url, { certificate });
  await using second = await startProxy(database.url, { certificate });
  await using locker = openLocker(at([`127.0.0.1:${first.port}`, `127.0.0.1:${second.port}`]), {
    ttlMs: 60_000,
    renewEveryMs: 500,
    requestTimeoutMs: 3_000,
    connectTimeoutMs: 1_500,
  });
  await using lock = await locker.acquire(key);
  const { expiresAt } = await leaseRow(database.sql, key);
  expect(second.connections).toEqual([]);

  if (how === "is silent") {
    first.blackhole();
  } else {
    await first.refuse(true);
    first.cutAll();
  }
  await until("it is renewed", async () => (await leaseRow(database.sql, key)).expiresAt > expiresAt + 2_000);
  await until("it is held", () => lock.held);
  // each connection finds out by itself: what ends the test must not be the first that is sent over a silent one
  await until("commands have moved, too", () => locker.ping().catch(() => null));

  expect(lock.signal.aborted).toBe(false);
  expect(second.statements.length).toBeGreaterThan(0);
});
