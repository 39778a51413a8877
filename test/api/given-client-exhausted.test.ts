// The connections of a given client are few, and the application's transactions keep them: a call that they cannot carry says so,
// at once where no wait could help.
import { drizzle as drizzleNodePostgres } from "drizzle-orm/node-postgres";
import { drizzle as drizzlePostgresJs } from "drizzle-orm/postgres-js";
import pg from "pg";
import type postgres from "postgres";
import { describe, expect, test } from "vitest";
import { type Lock, type Locker, type PostgresClient, UnavailableError } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { type Given, openPool, openPostgresJs } from "./given-clients.js";

const database = await createDatabase();

/** Longer than a test may take: what is refused in it was refused at once. */
const NEVER_MS = 600_000;

const libraries: readonly { readonly name: string; open(max: number): Given }[] = [
  { name: "postgres.js", open: (max) => openPostgresJs(database.url, { max }) },
  { name: "a Pool", open: (max) => openPool(database.url, { max }) },
];

/** `lock.transaction` on the given client itself. */
function onClient(lock: Lock, { client }: Given, body: () => Promise<void>): Promise<void> {
  return lock.transaction(client as pg.Pool, body);
}

async function refusal(refused: Promise<unknown>): Promise<UnavailableError> {
  const error: unknown = await refused.then(
    () => expect.fail("it was not refused"),
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(UnavailableError);
  return error as UnavailableError;
}

const calls: Readonly<Record<string, (locker: Locker) => Promise<unknown>>> = {
  acquire: (locker) => locker.acquire("b"),
  "acquire, without waiting": (locker) => locker.tryAcquire("b"),
  withLock: (locker) => locker.withLock("b", () => {}),
  tryWithLock: (locker) => locker.tryWithLock("b", () => {}),
  lead: (locker) => locker.lead("b", () => {}),
  check: (locker) => locker.check("b"),
  isLocked: (locker) => locker.isLocked("b"),
  forceRelease: (locker) => locker.forceRelease("b"),
  checkFence: (locker) => locker.checkFence("b", 1n),
  ping: (locker) => locker.ping(),
};

describe.each(libraries)("$name", ({ open }) => {
  test("a call from inside of a transaction on the only connection is refused at once, and names it", async () => {
    const given = open(1);
    await using locker = openLocker(database, { client: given.client, requestTimeoutMs: NEVER_MS });

    await locker.withLock("a", (lock) =>
      onClient(lock, given, async () => {
        for (const [name, call] of Object.entries(calls)) {
          const { message, outcome } = await refusal(call(locker));
          expect(outcome, name).toBe("not-sent");
          expect(message, name).toContain(
            "The pool of the given client is exhausted: its only connection is inside the lock.transaction from which this was called",
          );
        }
        const { message, outcome } = await refusal(onClient(lock, given, () => expect.fail("its body was run")));
        expect(outcome).toBe("not-sent");
        expect(message).toContain("its only connection is inside the lock.transaction from which this was called");
      }),
    );
  });

  test("a release there is refused at once, and done when the transaction has ended", async () => {
    const given = open(1);
    await using locker = openLocker(database, { client: given.client, requestTimeoutMs: NEVER_MS });
    const lock = await locker.acquire("a");

    await onClient(lock, given, async () => {
      const { message } = await refusal(lock.release());
      expect(message).toContain("its only connection is inside the lock.transaction");
      expect(lock.held).toBe(false);
    });

    await locker.withLock("a", ({ fence }) => expect(fence).toBeGreaterThan(lock.fence));
  });

  test("a call from elsewhere waits for the transaction, and is carried after it", async () => {
    const given = open(1);
    await using locker = openLocker(database, { client: given.client, requestTimeoutMs: NEVER_MS });
    const lock = await locker.acquire("a");
    let inside = (): void => undefined;
    const isInside = new Promise<void>((resolve) => {
      inside = resolve;
    });
    let end = (): void => undefined;
    const mayEnd = new Promise<void>((resolve) => {
      end = resolve;
    });

    const transaction = onClient(lock, given, async () => {
      inside();
      await mayEnd;
    });
    await isInside;
    const waiting = locker.check("b");
    end();

    expect(await waiting).toBeNull();
    await transaction;
    await lock.release();
  });

  test("with a connection to spare it is carried; with as many transactions around it as connections it is not", async () => {
    const given = open(2);
    await using locker = openLocker(database, { client: given.client, requestTimeoutMs: NEVER_MS });

    await locker.withLock("a", (lock) =>
      onClient(lock, given, async () => {
        await locker.withLock("b", () => {});
        await onClient(lock, given, async () => {
          const { message } = await refusal(locker.check("b"));
          expect(message).toContain("all of its 2 connections are inside the lock.transaction");
          expect((await refusal(onClient(lock, given, async () => {}))).message).toBe(message);
        });
        expect(await locker.check("b")).toBeNull();
      }),
    );
  });

  test("what was begun in a transaction, and goes on after it, is carried", async () => {
    const given = open(1);
    await using locker = openLocker(database, { client: given.client, requestTimeoutMs: NEVER_MS });
    let later: Promise<unknown> | undefined;
    let goOn = (): void => undefined;
    const isOver = new Promise<void>((resolve) => {
      goOn = resolve;
    });

    await locker.withLock("a", (lock) =>
      onClient(lock, given, async () => {
        later = isOver.then(() => locker.check("b"));
      }),
    );
    goOn();

    expect(await later).toBeNull();
  });

  test("another pool's transaction is none of its own", async () => {
    const given = open(1);
    await using locker = openLocker(database, { client: given.client, requestTimeoutMs: NEVER_MS });
    const pool = new pg.Pool({ connectionString: database.url, max: 1 });

    await locker.withLock("a", (lock) => lock.transaction(pool, () => locker.check("b")));

    await pool.end();
  });

  test("a transaction of the application's own around it: the error says so when the time for a connection is up", async () => {
    const given = open(1);
    await using locker = openLocker(database, { client: given.client, requestTimeoutMs: 3_000 });
    await locker.ready();

    await given.transaction(async () => {
      for (const call of [locker.check("b"), locker.acquire("b", { keepAlive: false, waitMs: 1 })]) {
        const { message } = await refusal(call);
        expect(message).toContain("its only one was busy, or could not be made");
      }
    });

    expect(await given.one()).toEqual({ one: 1 });
  });
});

test.each([
  [
    "postgres.js",
    () => openPostgresJs(database.url, { max: 1 }),
    (client: PostgresClient) => drizzlePostgresJs(client as postgres.Sql),
  ],
  [
    "node-postgres",
    () => openPool(database.url, { max: 1 }),
    (client: PostgresClient) => drizzleNodePostgres(client as pg.Pool),
  ],
] as const)("a transaction of Drizzle over the given client counts: %s", async (_, open, over) => {
  const { client } = open();
  await using locker = openLocker(database, { client, requestTimeoutMs: NEVER_MS });
  const db = over(client) as ReturnType<typeof drizzleNodePostgres>;

  await locker.withLock("a", (lock) =>
    lock.transaction(db, async () => {
      expect((await refusal(locker.acquire("b"))).message).toContain("its only connection is inside");
    }),
  );
});
