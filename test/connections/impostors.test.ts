// Servers that are not what they say, or fall silent at the worst moment: the connection fails in time, with a reason, and nothing
// goes uncaught.
import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import { afterAll, expect, onTestFinished, test, vi } from "vitest";
import { parseConnectionUrl } from "../../src/config/connection-url.js";
import { connect, HostList } from "../../src/postgres/connection/connect.js";
import { LinkClosed } from "../../src/postgres/connection/link-closed.js";
import { impostures, Saboteur } from "../storm/saboteur.js";
import { startStormServer } from "../storm/server.js";

const server = await startStormServer();
afterAll(() => server[Symbol.asyncDispose]());

interface Attempt {
  readonly port: number;
  readonly role?: string;
  readonly ssl?: string;
  readonly password?: () => string | Promise<string>;
  readonly connectTimeoutMs?: number;
}

/** Connects, and says what came of it. */
async function attempt({
  port,
  role = "scram-sha-256",
  ssl = "disable",
  password,
  connectTimeoutMs = 30_000,
}: Attempt): Promise<unknown> {
  const url = `postgres://${role}:${role}@127.0.0.1:${port}/postgres?sslmode=${ssl}`;
  const target = parseConnectionUrl(url, "url", password === undefined ? {} : { password }, {});
  try {
    const { link } = await connect({
      hosts: new HostList(target),
      applicationName: "leasehold",
      connectTimeoutMs,
      prepare: true,
      settings: [],
      acceptsMissing: true,
      signal: null,
    });
    const [row] = await link.query("select ssl from pg_catalog.pg_stat_ssl where pid = pg_catalog.pg_backend_pid()");
    await link.end();
    return row?.ssl;
  } catch (error) {
    return error;
  }
}

test.each([
  ["another protocol", "disable", "does not speak Postgres's protocol"],
  ["another protocol", "require", "did not answer the request for TLS as Postgres does"],
  ["more than one byte about TLS", "require", "did not answer the request for TLS as Postgres does"],
  ["an error about TLS", "prefer", "answered the request for TLS with an error"],
  ["no TLS", "require", "does not accept TLS"],
  ["no TLS", "verify-full", "does not accept TLS"],
  ["TLS, and none follows", "require", ""],
  ["SCRAM without salt", "disable", "does not speak SCRAM"],
  ["SCRAM without a number", "disable", "does not speak SCRAM"],
  ["SCRAM without iterations", "disable", "does not speak SCRAM"],
  ["SCRAM that takes for ever", "disable", "does not speak SCRAM"],
  ["a signature of somebody else", "disable", "did not return the correct signature"],
  ["Kerberos", "disable", "way to authenticate that postgres.js does not know (7)"],
  ["nothing to authenticate with", "disable", "way to authenticate"],
  ["SCRAM after the login", "disable", "does not speak Postgres's protocol"],
  ["authentication of no kind after the login", "disable", "does not speak Postgres's protocol"],
  ["a copy that nobody asked for", "disable", "does not speak Postgres's protocol"],
  ["a copy that fails", "disable", "does not speak Postgres's protocol"],
  ["a notification without an end", "disable", "does not speak Postgres's protocol"],
  ["a column's name without an end", "disable", "does not speak Postgres's protocol"],
  ["a message shorter than its length", "disable", "does not speak Postgres's protocol"],
])("%s (sslmode=%s) is told at once", async (name, ssl, says) => {
  const impostor = await Saboteur.impostor(impostures[name] ?? []);

  const error = await attempt({ port: impostor.port, ssl });
  impostor.close();

  expect(error).toBeInstanceOf(LinkClosed);
  expect((error as Error).message).toContain(says);
  expect(impostor.accepted).toBe(1);
});

test.each([
  ["require", [0, 1, 300, 900, 1_400, 1_700]],
  ["disable", [0, 5, 20, 100, 200]],
])("a server that falls silent within TLS or the login is given up in time (sslmode=%s)", async (ssl, moments) => {
  for (const bytes of moments) {
    const saboteur = await Saboteur.start({ port: server.port }, "hole", bytes);
    const error = await attempt({ port: saboteur.port, ssl, connectTimeoutMs: 300 });
    saboteur.close();
    expect(error, `${bytes} bytes`).toMatchObject({ message: "no answer within 300 ms" });
  }
});

test.each([
  ["require", [0, 1, 300, 900, 1_400, 1_700]],
  ["disable", [0, 5, 20, 100, 200]],
])("a server that hangs up within TLS or the login is told at once (sslmode=%s)", async (ssl, moments) => {
  for (const bytes of moments) {
    for (const harm of ["fin", "reset"] as const) {
      const saboteur = await Saboteur.start({ port: server.port }, harm, bytes);
      const error = await attempt({ port: saboteur.port, ssl });
      saboteur.close();
      expect(error, `${harm} after ${bytes} bytes`).toBeInstanceOf(LinkClosed);
    }
  }
});

test("a process that may not use MD5 (FIPS) is told so when the server asks for it", async () => {
  const { createHash } = crypto;
  vi.spyOn(crypto, "createHash").mockImplementation((algorithm, options) => {
    if (algorithm === "md5") throw new Error("unsupported");
    return createHash(algorithm, options);
  });
  syncBuiltinESMExports();
  onTestFinished(() => {
    vi.restoreAllMocks();
    syncBuiltinESMExports();
  });

  const error = await attempt({ port: server.port, role: "md5" });

  expect(error).toMatchObject({ message: "the server asks for MD5, which this process cannot do: unsupported" });
});

test.each<[string, () => string | Promise<string>, string]>([
  ["rejects", () => Promise.reject(new Error("no")), "the function that gives the password failed"],
  [
    "throws",
    () => {
      throw new Error("no");
    },
    "the function that gives the password failed",
  ],
  ["gives no string", () => 7 as unknown as string, "the function that gives the password failed"],
  ["never settles", () => new Promise<string>(() => {}), "no answer within 500 ms"],
  ["gives a wrong one", () => "wrong", "password authentication failed"],
])("a password function that %s fails the connection alone", async (_, password, says) => {
  const error = await attempt({ port: server.port, password, connectTimeoutMs: says.includes("500") ? 500 : 30_000 });
  expect((error as Error).message).toContain(says);
});

test("a certificate or key that cannot be used is an error of the connection", async () => {
  const target = parseConnectionUrl(
    `postgres://trust@127.0.0.1:${server.port}/postgres`,
    "url",
    { ssl: { cert: "junk", key: "junk" } },
    {},
  );
  const connecting = connect({
    hosts: new HostList({ ...target, ssl: { cert: "junk", key: "junk" } }),
    applicationName: "leasehold",
    connectTimeoutMs: 30_000,
    prepare: true,
    settings: [],
    signal: null,
  });
  await expect(connecting).rejects.toMatchObject({ message: expect.stringMatching(/PEM|asn1|no start line/i) });
});

test("an answer about TLS is one byte, wherever it comes from: yes, no, or not asked", async () => {
  expect(await attempt({ port: server.port, ssl: "require" })).toBe(true);
  expect(await attempt({ port: server.port, ssl: "prefer" })).toBe(true);
  expect(await attempt({ port: server.port, ssl: "disable" })).toBe(false);
  const { cluster } = server;
  await cluster.stop("fast");
  await cluster.start({ max_connections: 300, ssl: "off" });
  expect(await attempt({ port: server.port, ssl: "prefer" })).toBe(false);
  expect(await attempt({ port: server.port, ssl: "allow" })).toBe(false);
  expect(await attempt({ port: server.port, ssl: "require" })).toMatchObject({
    message: "the server does not accept TLS, which the address demands",
  });
});
