// What each sslmode makes of the server's certificate, and of a server without TLS.
import { afterAll, expect, test } from "vitest";
import { UnavailableError } from "../../src/index.js";
import { settled } from "../faults/settled.js";
import { makeAuthority, makeCertificate } from "../support/certificate.js";
import { changeUrl } from "../support/client.js";
import { startCluster } from "../support/cluster.js";
import { createDatabase, type TestDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { pemFiles } from "./pem-files.js";
import { reasons } from "./reasons.js";

const requestTimeoutMs = 2_000;
const authority = await makeAuthority();
const stranger = await makeAuthority("A stranger");
const database = await createDatabase();
const [server] = await database.sql`select current_setting('server_version_num')::int >= 170000 as "knowsDirect"`;
const { root, other } = await pemFiles({ root: authority.cert, other: stranger.cert });

const certificates = {
  "a right one": await makeCertificate(authority, ["localhost", "127.0.0.1"]),
  "one for another name": await makeCertificate(authority, ["db.example"]),
  "one that has expired": await makeCertificate(authority, ["localhost", "127.0.0.1"], { isExpired: true }),
  "one of a stranger": await makeCertificate(stranger, ["localhost", "127.0.0.1"]),
  "one that signed itself": await makeCertificate(null, ["localhost", "127.0.0.1"]),
};
type Name = keyof typeof certificates;

const untrusted = /SELF_SIGNED_CERT|UNABLE_TO_VERIFY_LEAF|UNABLE_TO_GET_ISSUER/;
const all = (value: "connects" | RegExp) =>
  Object.fromEntries(Object.keys(certificates).map((name) => [name, value])) as Record<Name, "connects" | RegExp>;
const trusting: Partial<Record<Name, RegExp>> = {
  "one that has expired": /CERT_HAS_EXPIRED/,
  "one of a stranger": untrusted,
  "one that signed itself": untrusted,
};

const modes: readonly [parameters: Readonly<Record<string, string>>, outcome: Record<Name, "connects" | RegExp>][] = [
  [{ sslmode: "allow" }, all("connects")],
  [{ sslmode: "prefer" }, all("connects")],
  [{ sslmode: "require" }, all("connects")],
  [
    { sslmode: "require", sslrootcert: root },
    { ...all("connects"), ...trusting },
  ],
  [
    { sslmode: "verify-ca", sslrootcert: root },
    { ...all("connects"), ...trusting },
  ],
  [
    { sslmode: "verify-full", sslrootcert: root },
    { ...all("connects"), ...trusting, "one for another name": /ERR_TLS_CERT_ALTNAME_INVALID/ },
  ],
  // nobody of whom the system knows has signed any of them
  [{ sslmode: "verify-ca" }, { ...all(untrusted), "one that has expired": /CERT_HAS_EXPIRED|UNABLE_TO_VERIFY/ }],
  [{ sslmode: "verify-full" }, { ...all(untrusted), "one that has expired": /CERT_HAS_EXPIRED|UNABLE_TO_VERIFY/ }],
];

const rows = modes.flatMap(([parameters, outcomes]) =>
  Object.entries(outcomes).flatMap(([name, outcome]) =>
    // a name is verified in one mode only
    (parameters.sslmode === "verify-full" ? ["127.0.0.1", "localhost"] : ["127.0.0.1"]).map((host) => {
      const says = Object.keys(parameters)
        .join(" and ")
        .replace("sslmode", parameters.sslmode ?? "");
      return [says, host, name as Name, outcome, parameters] as const;
    }),
  ),
);

test.each(rows)("%s, connecting to %s, and the certificate is %s", async (_, host, name, outcome, parameters) => {
  await using proxy = await startProxy(database.url, { certificate: certificates[name] });
  const url = changeUrl(proxy.url(database.url), { host, parameters });
  await using locker = openLocker(url, { requestTimeoutMs, connectTimeoutMs: requestTimeoutMs });

  const { error } = await settled(
    locker.withLock("a", ({ held }) => held),
    requestTimeoutMs,
  );

  if (outcome === "connects") {
    expect(error).toBeUndefined();
    expect(proxy.statements.length).toBeGreaterThan(0);
  } else {
    expect(error).toMatchObject({ name: "UnavailableError", outcome: "not-sent" });
    expect(reasons(error)).toMatch(outcome);
    expect((error as Error).message).toMatch(/certificate is not accepted.*sslmode and sslrootcert/);
    // not even the name of a role or a database
    expect(proxy.connections.map(({ applicationName }) => applicationName)).not.toContain(expect.anything());
  }
});

test.each(["on", "off"] as const)(
  "a certificate that is not accepted is told at once: nobody waits for it to become right (presence: %s)",
  async (presence) => {
    await using proxy = await startProxy(database.url, { certificate: certificates["one of a stranger"] });
    const url = changeUrl(proxy.url(database.url), { parameters: { sslmode: "verify-full", sslrootcert: root } });
    await using locker = openLocker(url, { presence, requestTimeoutMs: 60_000, connectTimeoutMs: 60_000 });

    // a small part of the time that it is allowed
    const { error } = await settled(locker.acquire("a", { waitMs: Number.POSITIVE_INFINITY }), 3_000);

    expect(error).toMatchObject({ name: "UnavailableError", outcome: "not-sent", cause: { code: "NOT_TRUSTED" } });
  },
);

test.each(["verify-full", "verify-ca"])("%s through connection.ssl", async (mode) => {
  await using proxy = await startProxy(database.url, { certificate: certificates["one for another name"] });
  const url = changeUrl(proxy.url(database.url), { host: "localhost", parameters: {} });
  const ssl = { ca: authority.cert, ...(mode === "verify-ca" ? { checkServerIdentity: () => undefined } : {}) };
  await using locker = openLocker(url, { requestTimeoutMs, connection: { ssl } });

  const { error } = await settled(
    locker.withLock("a", () => 1),
    requestTimeoutMs,
  );

  if (mode === "verify-ca") expect(error).toBeUndefined();
  else expect(reasons(error)).toMatch(/ERR_TLS_CERT_ALTNAME_INVALID/);
});

test.each<[string, () => unknown, RegExp]>([
  [
    "throws",
    () => {
      throw new Error("no entry for this name");
    },
    /checkServerIdentity failed.*no entry for this name/s,
  ],
  ["rejects", async () => Promise.reject(new Error("no entry")), /must return undefined or an Error, not an object/],
  ["gives a promise", async () => undefined, /must return undefined or an Error, not an object/],
  ["gives text", () => "not mine", /must return undefined or an Error, not a string/],
  ["gives an error", () => new Error("not mine"), /not mine/],
])("a checkServerIdentity that %s refuses the server, and nothing goes uncaught", async (_, check, says) => {
  await using proxy = await startProxy(database.url, { certificate: certificates["a right one"] });
  const url = changeUrl(proxy.url(database.url), { host: "localhost", parameters: {} });
  const ssl = { ca: authority.cert, checkServerIdentity: check };
  await using locker = openLocker(url, { requestTimeoutMs, connection: { ssl } });

  const { error } = await settled(locker.ready(), requestTimeoutMs);

  expect(error).toMatchObject({ name: "UnavailableError", outcome: "not-sent", cause: { code: "NOT_TRUSTED" } });
  expect(reasons(error)).toMatch(says);
});

test("without TLS a server that demands it says so", async () => {
  await using locker = openLocker(changeUrl(database.url, { parameters: { sslmode: "disable" } }), {
    requestTimeoutMs,
  });
  const { error } = await settled(locker.ready(), requestTimeoutMs);
  expect(error).toBeInstanceOf(UnavailableError);
  expect(reasons(error)).toMatch(/no encryption/);
});

const plain = await startCluster({ tls: false });
const onPlain = await createDatabase({ on: plain });
const both = await startCluster({
  tls: { certificate: certificates["a right one"], acceptsPlain: true },
});
const onBoth = await createDatabase({ on: both });
afterAll(async () => {
  await onPlain.drop();
  await onBoth.drop();
  await plain.destroy();
  await both.destroy();
});

/** Whether the connections of a locker are encrypted, as the server sees it. */
async function areEncrypted({ sql }: TestDatabase): Promise<unknown> {
  const rows = await sql`
    select distinct s.ssl from pg_stat_ssl s join pg_stat_activity a using (pid)
     where a.datname = current_database() and a.application_name like 'leasehold%'`;
  return rows.map(({ ssl }) => ssl);
}

test.each([
  ["allow", false, true],
  ["prefer", false, true],
  ["disable", false, false],
  ["require", null, true],
  ["verify-ca", null, true],
  ["verify-full", null, true],
])("%s: without TLS on the server encrypted is %s, with it %s", async (sslmode, withoutIt, withIt) => {
  const parameters = { sslmode, ...(sslmode.startsWith("verify") ? { sslrootcert: root } : {}) };
  for (const [on, expected] of [
    [onPlain, withoutIt],
    [onBoth, withIt],
  ] as const) {
    await using locker = openLocker(changeUrl(on.url, { parameters }), { requestTimeoutMs });
    const { error } = await settled(
      locker.withLock("a", ({ held }) => held),
      requestTimeoutMs,
    );
    if (expected === null) {
      expect(error).toMatchObject({ name: "UnavailableError", outcome: "not-sent" });
      expect(reasons(error)).toMatch(/TLS|SSL/);
    } else {
      expect(error).toBeUndefined();
      expect(await areEncrypted(on)).toEqual([expected]);
    }
  }
});

test.runIf(server?.knowsDirect)("sslnegotiation=direct begins with TLS, and verifies all the same", async () => {
  const parameters = { sslmode: "verify-full", sslrootcert: root, sslnegotiation: "direct" };
  await using locker = openLocker(changeUrl(onBoth.url, { parameters }), { requestTimeoutMs });
  expect(await locker.withLock("a", ({ held }) => held)).toBe(true);
  expect(await areEncrypted(onBoth)).toEqual([true]);

  const url = changeUrl(onBoth.url, { parameters: { ...parameters, sslrootcert: other } });
  await using mistrusting = openLocker(url, { requestTimeoutMs });
  expect(reasons((await settled(mistrusting.ready(), requestTimeoutMs)).error)).toMatch(untrusted);
});

test.runIf(server?.knowsDirect).each([{}, { connection: { ssl: true } }])(
  "sslnegotiation=direct alone is TLS: %o",
  async (options) => {
    const url = changeUrl(onBoth.url, { parameters: { sslnegotiation: "direct" } });
    await using locker = openLocker(url, { requestTimeoutMs, ...options });
    const { error } = await settled(
      locker.withLock("a", () => areEncrypted(onBoth)),
      requestTimeoutMs,
    );
    if ("connection" in options) expect(reasons(error)).toMatch(untrusted);
    else expect(error).toBeUndefined();
  },
);

// Before Postgres 17 none with TLS knows it either.
test.for(["with TLS", "without TLS"])(
  "sslnegotiation=direct to a server that knows none is unavailable: %s",
  async (tls, { skip }) => {
    if (tls === "with TLS" && server?.knowsDirect) return skip("this one knows it");
    const parameters = { sslmode: "require", sslnegotiation: "direct" };
    const { url } = tls === "with TLS" ? onBoth : onPlain;
    await using locker = openLocker(changeUrl(url, { parameters }), { requestTimeoutMs });
    const { error } = await settled(locker.ready(), requestTimeoutMs);
    expect(error).toMatchObject({ name: "UnavailableError", outcome: "not-sent" });
  },
);
