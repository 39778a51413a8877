import { inspect } from "node:util";
import postgres from "postgres";
import { expect, onTestFinished, test } from "vitest";
import type { LeaseholdError } from "../../src/index.js";
import { changeUrl } from "../support/client.js";
import { createDatabase, createRole } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { tokenOf } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";

const database = await createDatabase();

/** Everything that a log could make of a value. */
function asText(value: unknown): string {
  const deep = { depth: 20, showHidden: true, getters: false, breakLength: Number.POSITIVE_INFINITY } as const;
  const error = value instanceof Error ? `${value.stack}${value.message}${String(value.cause)}` : "";
  return `${inspect(value)}${inspect(value, deep)}${JSON.stringify(value)}${String(value)}${error}`;
}

test("a lock shows no token: not by inspect, JSON, String or as a locker's part", async () => {
  await using locker = openLocker(database, { metadata: { job: 1 } });
  const lock = await locker.acquire("a");
  void lock.signal;
  const token = await tokenOf(database.sql, "a");
  expect(token).toMatch(/^[0-9a-f-]{36}$/);

  for (const value of [lock, [lock], { lock }, locker, locker.locks(), await locker.check("a")]) {
    expect(asText(value)).not.toContain(token);
  }
  expect("token" in lock).toBe(false);
  expect(`${inspect(lock)}`).toMatch(/^Lock \{ key: 'a', fence: '\d+', /);
  expect(JSON.parse(JSON.stringify(lock))).toEqual({
    key: "a",
    fence: lock.fence.toString(),
    owner: lock.owner,
    ttlMs: 30_000,
    metadata: { job: 1 },
    mode: "exclusive",
    weight: 1,
    acquiredAt: lock.acquiredAt.toISOString(),
    expiresAt: lock.expiresAt.toISOString(),
    held: true,
    remainingMs: expect.any(Number),
    heldMs: expect.any(Number),
    instance: null,
  });
  await lock.release();
});

test("what check says survives JSON, with the fence as a decimal string", async () => {
  await using locker = openLocker(database);
  await locker.withLock("a", async (lock) => {
    const info = await locker.check("a");
    expect(info?.fence).toBe(lock.fence);
    expect(JSON.parse(JSON.stringify(info))).toMatchObject({
      key: "a",
      state: "held",
      fence: lock.fence.toString(),
      expiresAt: lock.expiresAt.toISOString(),
      isThisProcess: true,
    });
    expect(JSON.parse(JSON.stringify(await locker.tryWithLock("a", () => 1), bigints))).toMatchObject({
      acquired: false,
    });
  });
});

test("errors of a real run are JSON-safe and show neither a token nor a password", async () => {
  expectLeft(database, "leases", "sessions");
  const role = await createRole(database, { grantUsage: true });
  const password = new URL(role.url).password;
  await using proxy = await startProxy(database.url);
  const errors: unknown[] = [];
  await using locker = openLocker(proxy.url(role.url), {
    requestTimeoutMs: 3_000,
    connectTimeoutMs: 3_000,
    takeoverDelayMs: 1_000,
    onError: (error) => errors.push(error),
    onLost: (_, error) => errors.push(error),
  });
  const attempt = async (call: () => unknown) => {
    try {
      await call();
    } catch (error) {
      errors.push(error);
    }
  };

  const [held, forced] = [await locker.acquire("held"), await locker.acquire("forced")];
  const tokens = [await tokenOf(database.sql, "held"), await tokenOf(database.sql, "forced")];
  await attempt(() => locker.acquire("held", { waitMs: 30 }));
  await attempt(() => locker.acquire("bad", { metadata: 1n as never }));
  await using admin = openLocker(database);
  await admin.forceRelease("forced", { immediate: true });
  await attempt(() => forced.renew());
  await attempt(() => forced.release());
  proxy.blackhole();
  await attempt(() => held.renew());
  await attempt(() => locker.acquire("other", { waitMs: 1 }));
  await attempt(() => held.release());
  await proxy.refuse(true);
  proxy.cutAll();
  await attempt(() => locker.acquire("another", { waitMs: 1 }));
  await attempt(() => locker.check("another"));
  await attempt(() => held.release());
  await using stranger = openLocker(changeUrl(database.url, { user: "nobody", password: "sesame-open" }));
  await attempt(() => stranger.ready());
  await locker.close();

  const codes = new Set(errors.map((error) => (error as LeaseholdError).code));
  for (const code of ["wait-timeout", "invalid-option", "lease-lost", "not-held", "unavailable"]) {
    expect(codes).toContain(code);
  }
  for (const error of errors) {
    const text = asText(error);
    for (const secret of [...tokens, password, "sesame-open"]) expect(text).not.toContain(secret);
    expect(() => JSON.stringify(error)).not.toThrow();
    expect(JSON.parse(JSON.stringify(error))).toMatchObject({ code: (error as LeaseholdError).code });
  }
});

test("an error of a given client in debug mode, which shows parameters, is passed on without the token", async () => {
  const role = await createRole(database, { grantUsage: true });
  await database.sql.unsafe(`alter function leasehold_internal.acquire_one rename to acquire_one_hidden;
    create function leasehold_internal.acquire_one(int, uuid, int, bool, text, uuid, text, int, int, bigint, text, float8, bool, bigint, bigint, int[], bool, int, int)
      returns table (outcome text, fence bigint, acquired float8, expires float8, ticket bigint, holder text, holderfence bigint,
        holdersession int, nextlook float8, blocker int, takeover text, since float8, now float8, proof bigint)
      language plpgsql as $$ begin raise exception 'no' using errcode = 'LH999'; end $$`);
  let parameters: readonly unknown[] = [];
  const debug = (_: number, query: string, given: readonly unknown[]) => {
    if (query.includes("leasehold_internal.acquire_one(")) parameters = given;
  };
  const sql = postgres(role.url, { max: 1, debug });
  try {
    await using locker = openLocker(database, { url: role.url, client: sql });
    const error = await locker.acquire("a").catch((thrown: unknown) => thrown);
    const token = /[0-9a-f-]{36}/.exec(String(parameters[4]))?.[0] ?? "no token was sent";
    expect(error).toMatchObject({ code: "unsupported", cause: { code: "LH999" } });
    expect(token).toHaveLength(36);
    expect(asText(error)).not.toContain(token);
    expect(asText((error as Error).cause)).not.toContain(token);
  } finally {
    await sql.end({ timeout: 1 });
    await database.sql.unsafe(`drop function leasehold_internal.acquire_one;
      alter function leasehold_internal.acquire_one_hidden rename to acquire_one`);
  }
});

test("a warning about a callback shows no token", async () => {
  const warnings: unknown[] = [];
  const onWarning = (warning: unknown) => warnings.push(warning);
  process.on("warning", onWarning);
  onTestFinished(() => void process.off("warning", onWarning));
  await using locker = openLocker(database, {
    onAcquired: (lock) => {
      throw Object.assign(new Error("the callback's"), { lock });
    },
  });
  const lock = await locker.acquire("a");
  await until("the warning", () => warnings.length > 0);
  expect(asText(warnings)).toContain("the callback's");
  expect(asText(warnings)).not.toContain(await tokenOf(database.sql, "a"));
  await lock.release();
});

function bigints(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}
