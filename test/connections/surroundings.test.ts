// What stands around a connection and is not the server: the environment, the user's callbacks, the timers of a user's test.
import { Socket } from "node:net";
import { inspect } from "node:util";
import { expect, onTestFinished, test, vi } from "vitest";
import { parseConnectionUrl } from "../../src/config/connection-url.js";
import { Link } from "../../src/postgres/connection/link.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";

const database = await createDatabase();

function setEnv(name: string, value: string): void {
  vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
}

test.each([
  ["PGTARGETSESSIONATTRS", "any"],
  ["PGTARGETSESSIONATTRS", "standby"],
  ["PGTARGETSESSIONATTRS", "read-write"],
  ["PGSSLNEGOTIATION", "direct"],
  ["PGMAX_PIPELINE", "0"],
  ["PGBACKOFF", "none"],
])("%s=%s in the environment means nothing to a locker", async (name, value) => {
  setEnv(name, value);
  await using locker = openLocker(database);
  expect(await locker.withLock("a", ({ held }) => held)).toBe(true);
});

test("PGDEBUG shows no parameter in an error, where a token could be", async () => {
  setEnv("PGDEBUG", "1");
  const target = parseConnectionUrl(database.url, "url", {}, {});
  const link = new Link({ target, host: target.hosts[0] ?? null, applicationName: "leasehold", prepare: true });
  const error = await link.query("select $1::text::int", ["a secret"]).catch((error: unknown) => error);
  await link.end();
  expect(error).toMatchObject({ code: "22P02" });
  expect(Object.keys(error as Error)).not.toContain("parameters");
  expect(inspect({ ...(error as Error) })).not.toContain("parameters");
});

test("connection.onnotice hears the notices, and what it throws goes to onError alone", async () => {
  const messages: unknown[] = [];
  const errors: unknown[] = [];
  await using locker = openLocker(database, {
    connection: {
      onnotice: ({ message }) => {
        messages.push(message);
        throw new Error(`heard: ${message}`);
      },
      connection: { client_min_messages: "debug5" }, // each transaction, among others
    },
    onError: (error) => errors.push((error as Error).message),
  });
  expect(await locker.withLock("a", ({ held }) => held)).toBe(true);
  await locker.migrate();
  expect(messages.length).toBeGreaterThan(0);
  expect(errors).toEqual(messages.map((message) => `heard: ${message}`));
});

test.each([
  [undefined, 5_000],
  [7, 7_000],
])("connection.keep_alive %s: the first probe comes after %i ms", async (keep_alive, expected) => {
  const setKeepAlive = vi.spyOn(Socket.prototype, "setKeepAlive");
  onTestFinished(() => void vi.restoreAllMocks());
  await using locker = openLocker(database, { connection: { keep_alive } });
  await locker.ready();
  expect(new Set(setKeepAlive.mock.calls.map(([, ms]) => ms))).toEqual(new Set([expected]));
});

test("many migrations at once warn of no leak", async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on("warning", onWarning);
  onTestFinished(() => void process.off("warning", onWarning));
  await using locker = openLocker(database);
  await Promise.all(Array.from({ length: 15 }, () => locker.migrate()));
  await new Promise<void>((resolve) => setImmediate(resolve));
  expect(warnings).toEqual([]);
});

test("a microtask that a user's test has replaced does not keep a loss from being noticed", async () => {
  await using proxy = await startProxy(database.url);
  const target = parseConnectionUrl(proxy.url(database.url), "url", {}, {});
  const link = new Link({ target, host: target.hosts[0] ?? null, applicationName: "leasehold", prepare: true });
  await link.query("select 1");
  const closed = new Promise<void>((resolve) => link.onClose(resolve));

  vi.useFakeTimers({ toFake: ["queueMicrotask", "setTimeout", "setImmediate"] });
  onTestFinished(() => void vi.useRealTimers());
  proxy.cutAll();
  await closed;

  expect(link.isDead).toBe(true);
});
