// Postgres cannot be reached, in each of the ways in which that happens: every call settles, and says what to do.
import { expect, test } from "vitest";
import { createLocker, UnavailableError } from "../../src/index.js";
import { changeUrl } from "../support/client.js";
import { createDatabase, createEmptyDatabase, createRole } from "../support/database.js";
import { fakeServer } from "../support/fake-server.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";
import { everyCallWithoutLock } from "./every-call.js";
import { settled } from "./settled.js";

const database = await createDatabase();
const requestTimeoutMs = 1_000;
const presences = ["on", "off"] as const;

/** Addresses at which there is no Postgres for us; what they need is disposed of by `stack`. */
const addresses: Readonly<Record<string, (stack: AsyncDisposable[]) => Promise<string>>> = {
  "a closed port": async () => changeUrl(database.url, { port: 1 }),
  "a port that accepts and never answers": async (stack) => {
    const server = await fakeServer(() => {});
    stack.push(server);
    return changeUrl(database.url, { host: "127.0.0.1", port: server.port });
  },
  "a port that hangs up": async (stack) => {
    const server = await fakeServer((socket) => socket.end());
    stack.push(server);
    return changeUrl(database.url, { host: "127.0.0.1", port: server.port });
  },
  "a server that speaks something else": async (stack) => {
    const server = await fakeServer((socket) => socket.write("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"));
    stack.push(server);
    return changeUrl(database.url, { host: "127.0.0.1", port: server.port });
  },
  "a host name that does not exist": async () => changeUrl(database.url, { host: "no-such-host.invalid" }),
  "a wrong password": async () => changeUrl((await createRole(database)).url, { password: "wrong" }),
  "a role that does not exist": async () => changeUrl(database.url, { user: "nobody_by_this_name" }),
  "a database that does not exist": async () => changeUrl(database.url, { database: "no_such_database" }),
};

test.each(presences.flatMap((presence) => Object.keys(addresses).map((name) => [name, presence] as const)))(
  "%s: every call settles as unavailable and not sent, and so does close() (presence: %s)",
  async (name, presence) => {
    const stack: AsyncDisposable[] = [];
    const url = (await addresses[name]?.(stack)) ?? "";
    const locker = createLocker({ url, presence, requestTimeoutMs, connectTimeoutMs: requestTimeoutMs });

    const outcomes = await Promise.all(
      Object.entries({ ...everyCallWithoutLock(locker), migrate: () => locker.migrate() }).map(
        async ([call, run]) => [call, await settled(run(), requestTimeoutMs)] as const,
      ),
    );
    const again = await settled(locker.acquire("again", { waitMs: 1 }), requestTimeoutMs);
    const closed = await settled(locker.close(), requestTimeoutMs);
    for (const resource of stack) await resource[Symbol.asyncDispose]();

    for (const [call, { error }] of [...outcomes, ["acquire again", again] as const]) {
      expect(error, call).toBeInstanceOf(UnavailableError);
      expect((error as UnavailableError).outcome, call).toBe("not-sent");
    }
    expect(closed).toEqual({ value: undefined });
  },
);

test.each(presences)("a locker that found no server works when there is one (presence: %s)", async (presence) => {
  await using proxy = await startProxy(database.url);
  await proxy.refuse(true);
  await using locker = openLocker(proxy.url(database.url), { presence, requestTimeoutMs });
  await expect(locker.ready()).rejects.toMatchObject({ name: "UnavailableError", outcome: "not-sent" });

  await proxy.refuse(false);
  await using patient = openLocker(proxy.url(database.url), { presence });
  expect(await patient.withLock("found", ({ held }) => held)).toBe(true);
  await locker.ready();
  expect(await locker.withLock("found", ({ held }) => held)).toBe(true);
});

test.each(presences)(
  "a wrong password is told at once: nobody waits for it to become right (presence: %s)",
  async (presence) => {
    const url = changeUrl((await createRole(database)).url, { password: "wrong" });
    await using locker = createLocker({ url, presence, requestTimeoutMs: 60_000, connectTimeoutMs: 60_000 });

    // five times 5 s, less than the time that it is allowed
    const { error } = await settled(locker.acquire("a", { waitMs: Number.POSITIVE_INFINITY }), 5_000);

    expect(error).toMatchObject({ name: "UnavailableError", outcome: "not-sent", cause: { code: "28P01" } });
  },
);

test.each(presences)(
  "a database without the schema says what to run, and that helps (presence: %s)",
  async (presence) => {
    await using empty = await createEmptyDatabase();
    await using locker = openLocker(empty, { presence });
    const missing = { name: "NotMigratedError", found: null, message: expect.stringContaining("migrate()") };
    await expect(locker.ready()).rejects.toMatchObject(missing);
    await expect(locker.acquire("a")).rejects.toMatchObject(missing);
    await expect(locker.tryAcquire("a")).rejects.toMatchObject(missing);
    await expect(locker.check("a")).rejects.toMatchObject(missing);

    await locker.migrate();

    expect(await locker.withLock("a", ({ held }) => held)).toBe(true);
  },
);

test.each(presences)(
  "a role without rights says which line to run, and that helps (presence: %s)",
  async (presence) => {
    const role = await createRole(database, { label: `It's "me"` });
    await using locker = openLocker(role.url, { presence });

    const error = await locker.acquire("a").catch((reason: unknown) => reason);

    expect(error).toMatchObject({ name: "NotPermittedError", role: role.name });
    await expect(locker.ready()).rejects.toMatchObject({ name: "NotPermittedError" });
    await database.sql.unsafe((error as { statement: string }).statement);
    expect(await locker.withLock("a", ({ held }) => held)).toBe(true);
  },
);

test("commands and session in different databases are refused by name", async () => {
  await using elsewhere = await createDatabase();
  await using locker = openLocker(database, { directUrl: elsewhere.url });

  const refusal = {
    name: "UnsafeBackendError",
    problem: expect.stringContaining("different databases"),
    remedy: expect.stringContaining("directUrl"),
  };
  await Promise.all(
    [locker.ready(), locker.acquire("a"), locker.tryAcquire("b")].map((call) =>
      expect(call).rejects.toMatchObject(refusal),
    ),
  );
  expect(await database.sql`select from leasehold.leases where token is not null`).toHaveLength(0);
});

test.each([
  ["presence: off", { presence: "off" }],
  ["presence: on", { presence: "on" }],
  ["presence: on, and the direct address answers", { presence: "on", directUrl: database.url }],
] as const)(
  "a server that accepts and says nothing holds up no call and no close() for longer than requestTimeoutMs, however long a connection may take (%s)",
  async (_, options) => {
    await using server = await fakeServer(() => {});
    const url = changeUrl(database.url, { host: "127.0.0.1", port: server.port });
    const locker = createLocker({ url, ...options, requestTimeoutMs, connectTimeoutMs: 60_000 });

    const outcomes = await Promise.all(
      Object.entries(everyCallWithoutLock(locker)).map(
        async ([call, run]) => [call, await settled(run(), requestTimeoutMs)] as const,
      ),
    );
    const pending = settled(locker.acquire("pending", { waitMs: 1 }), requestTimeoutMs);
    const closed = await settled(locker.close(), requestTimeoutMs);

    for (const [call, { error }] of outcomes) expect(error, call).toBeInstanceOf(UnavailableError);
    expect(closed).toEqual({ value: undefined });
    expect(await pending).toMatchObject({ error: { name: "ClosedError" } });
    expect(await database.sql`select from leasehold.sessions`).toHaveLength(0);
  },
);

test.each(presences)("a client certificate that is none does not end the process (presence: %s)", async (presence) => {
  await using server = await fakeServer((socket) => socket.once("data", () => socket.write("S")));
  const ssl = { cert: "not a certificate", key: "not a key" };
  const url = changeUrl(database.url, { host: "127.0.0.1", port: server.port });
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown) => unhandled.push(reason);
  process.on("unhandledRejection", onUnhandled);
  await using locker = openLocker(url, { presence, requestTimeoutMs, connection: { ssl } });

  const { error } = await settled(locker.ready(), requestTimeoutMs);

  process.off("unhandledRejection", onUnhandled);
  expect(unhandled).toEqual([]);
  expect(error).toMatchObject({
    code: "unavailable",
    outcome: "not-sent",
    cause: { message: expect.stringContaining("PEM") },
  });
});

const passwords: Readonly<Record<string, () => unknown>> = {
  rejects: () => Promise.reject(new Error("the vault is sealed")),
  throws: () => {
    throw new Error("the vault is sealed");
  },
  "gives none": () => undefined,
};

test.each(Object.keys(passwords).flatMap((name) => presences.map((presence) => [name, presence] as const)))(
  "a password function that %s for a while costs that while, and not the process (presence: %s)",
  async (name, presence) => {
    const role = await createRole(database, { grantUsage: true });
    let isSealed = true;
    const password = () => (isSealed ? passwords[name]?.() : new URL(role.url).password) as string;
    await using locker = openLocker(role.url, { presence, requestTimeoutMs: 4_000, connection: { password } });
    const unhandled: unknown[] = [];
    const onUnhandled = (reason: unknown) => unhandled.push(reason);
    process.on("unhandledRejection", onUnhandled);

    const { error } = await settled(locker.tryAcquire(name), 4_000);
    isSealed = false;
    await using lock = await until("it is acquired", () => locker.acquire(name).catch(() => null));

    process.off("unhandledRejection", onUnhandled);
    expect(unhandled).toEqual([]);
    expect(error).toMatchObject({
      code: "unavailable",
      outcome: "not-sent",
      message: expect.stringMatching(
        /the function that gives the password failed: (the vault is sealed|expected a string)/,
      ),
    });
    expect(lock.held).toBe(true);
  },
);
