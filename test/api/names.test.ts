import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { describe, expect, test } from "vitest";
import { key, type Lock, UnsupportedError } from "../../src/index.js";
import { VERSION } from "../../src/runtime/version.js";
import { createDatabase, createEmptyDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";

const database = await createDatabase();

describe("a prefix", () => {
  test("is part of the key's identity, and of every key that is shown", async () => {
    await using app = openLocker(database, { prefix: "app:" });
    await using plain = openLocker(database);
    const lock = await app.acquire("a");
    expect(lock.key).toBe("app:a");
    expect(app.fullKey("a")).toBe("app:a");
    expect(await app.check("a")).toMatchObject({ key: "app:a" });
    expect(await plain.check("a")).toBeNull();
    expect(await plain.tryAcquire("app:a")).toBeNull();
    await plain.withLock("a", (other) => expect(other.held).toBe(true));
    await expect(app.acquire("a", { waitMs: 0 })).rejects.toMatchObject({ key: "app:a" });
    await lock.release();
  });
});

test("key() makes keys that differ in the database when their parts differ", async () => {
  await using locker = openLocker(database);
  const keys = [key("a:b", "c"), key("a", "b:c"), key("a", "b", "c"), key("a%3Ab", "c")];
  expect(new Set(keys).size).toBe(4);
  const locks = await Promise.all(keys.map((one) => locker.acquire(one, { waitMs: 0 })));
  expect(locks.map((lock) => lock.key)).toEqual(keys);
  await Promise.all(locks.map((lock) => lock.release()));
});

describe("owner", () => {
  test("is the host's name and the process by default, and the call's before the locker's", async () => {
    await using byDefault = openLocker(database);
    await using named = openLocker(database, { owner: "worker" });
    await byDefault.withLock("a", (lock) => expect(lock.owner).toBe(`${hostname()}:${process.pid}`));
    await named.withLock("a", async (lock) => {
      expect(lock.owner).toBe("worker");
      expect(await byDefault.check("a")).toMatchObject({ owner: "worker" });
    });
    await named.withLock("a", (lock) => expect(lock.owner).toBe("job 7"), { owner: "job 7" });
  });
});

describe("metadata", () => {
  test("is stored with the lease, shown by check, and gone with the next grant", async () => {
    await using locker = openLocker(database);
    const metadata = { id: 7, tags: ["x", null, true], nested: { text: "é\"'\\" } };
    await locker.withLock(
      "a",
      async (lock) => {
        expect(lock.metadata).toEqual(metadata);
        expect((await locker.check("a"))?.metadata).toEqual(metadata);
      },
      { metadata },
    );
    await locker.withLock("a", async (lock) => {
      expect(lock.metadata).toBeNull();
      expect((await locker.check("a"))?.metadata).toBeNull();
    });
  });

  test("is a copy: what the caller changes later does not reach it", async () => {
    await using locker = openLocker(database);
    const metadata = { list: [1] };
    await locker.withLock(
      "a",
      async (lock) => {
        metadata.list.push(2);
        await lock.renew();
        expect(lock.metadata).toEqual({ list: [1] });
        expect(Object.isFrozen(lock.metadata)).toBe(true);
      },
      { metadata },
    );
  });
});

describe("renew", () => {
  test("takes a new ttlMs, keeps the fence, and never shortens", async () => {
    await using locker = openLocker(database, { ttlMs: 10_000 });
    const lock = await locker.acquire("a");
    const { fence } = lock;
    const first = lock.expiresAt.getTime();

    await lock.renew(60_000);
    expect(lock).toMatchObject({ ttlMs: 60_000, fence });
    expect(lock.expiresAt.getTime()).toBeGreaterThanOrEqual(first + 49_000);
    const second = lock.expiresAt.getTime();

    await lock.renew(1_000);
    expect(lock.ttlMs).toBe(1_000);
    expect(lock.expiresAt.getTime()).toBe(second);
    expect(lock.remainingMs).toBeGreaterThan(50_000);
    await lock.release();
  });
});

test("the version is the one in package.json", () => {
  const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  expect(VERSION).toBe(manifest.version);
});

test("ping measures a round trip and knows the server's version", async () => {
  await using locker = openLocker(database);
  const { ms, serverVersion } = await locker.ping();
  const [row] = await database.sql`select current_setting('server_version') as version`;
  expect(serverVersion).toBe(row?.version);
  expect(ms).toBeGreaterThan(0);
});

test("a key that the database's encoding has no letters for fails at once, and alone", async () => {
  await using latin = await createEmptyDatabase({ encoding: "LATIN1" });
  await using locker = openLocker(latin);
  await locker.migrate();

  const [emoji, umlaut] = await Promise.allSettled([locker.acquire("\u{1f512}"), locker.acquire("schl\u00fcssel")]);

  const { reason } = emoji as PromiseRejectedResult;
  expect(reason).toBeInstanceOf(UnsupportedError);
  expect(reason.message).toContain("LATIN1");
  const { value: lock } = umlaut as PromiseFulfilledResult<Lock>;
  expect(lock.held).toBe(true);
  await lock.release();
});
