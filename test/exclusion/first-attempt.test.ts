// The first attempts of a batch, and its releases and renewals: one answer for what nobody contends, the loop's for the rest.
import { afterAll, afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { ask } from "../support/ask.js";
import { acquireFirst, releaseBatch, renewBatch, type Session } from "../support/batches.js";
import { openClient } from "../support/client.js";
import { createDatabase } from "../support/database.js";
import { openEars } from "../support/ears.js";
import { expectLeft } from "../support/leaks.js";
import { leaseRow } from "../support/lease-row.js";

const database = await createDatabase();
const { sql } = database;
const presence = await openClient(database.url);
afterEach(() => presence`select pg_advisory_unlock_all()`);
afterAll(() => presence.end());
let sessions = 0;

beforeEach(() => expectLeft(database, "leases", "waiters", "sessions"));

/** A session that lives, or one whose process has died. */
async function openSession({ isAlive = true } = {}): Promise<Session> {
  sessions += 1;
  const session = { id: sessions, nonce: crypto.randomUUID() };
  await sql`
    insert into leasehold.sessions (id, nonce, owner, pid, host, application_name, version, started_at, seen_at)
    values (${session.id}, ${session.nonce}, 'other', 1, 'host', '', '', now(), now() - interval '1 hour')`;
  if (isAlive) await presence`select pg_advisory_lock(1279480140, ${session.id}::int)`;
  return session;
}

/** An open transaction of somebody else. */
async function openTransaction(statement: string): Promise<{ end(): Promise<void> }> {
  const client = await openClient(database.url);
  onTestFinished(() => client.end());
  await client.unsafe(`begin; ${statement}`);
  return { end: async () => void (await client.unsafe("rollback")) };
}

const those = (keys: readonly string[]) => sql`key = any (string_to_array(${keys.join("|")}, '|'))`;
const outcomes = (answers: readonly { readonly outcome: string }[]) => answers.map(({ outcome }) => outcome);

describe.each([
  ["one", ["a"]],
  ["several", ["a", "b", "c"]],
])("%s", (size, names) => {
  const keysOf = (label: string) => names.map((name) => `${size} ${label} ${name}`);

  test.each(["never seen", "free"])(
    "keys that are %s are granted at one moment, with the terms that were asked for",
    async (state) => {
      const keys = keysOf(state);
      if (state === "free") {
        await releaseBatch(sql, await acquireFirst(sql, keys));
        await sql`update leasehold.leases set revoked_at = now(), hold_until = now() - interval '1 second' where ${those(keys)}`;
      }
      const session = await openSession();

      const granted = await acquireFirst(sql, keys, {
        session,
        takeoverMs: 7_000,
        owner: "me",
        ttlMs: 30_000,
        minHoldMs: 5,
        maxHoldMs: 20_000,
        metadata: '{"a":1}',
      });

      for (const { key, token, fence, acquired, expires, isPlain } of granted) {
        expect(isPlain).toBe(true);
        const [row] = await sql`
        select token::text, fence::text, owner, session_id, ttl_ms, takeover_ms, min_hold_ms, metadata, hold_until, revoked_at, queued,
               released_at, acquisitions::int, renewed_at = acquired_at as renewed,
               (extract(epoch from acquired_at) * 1000)::float8 as acquired, (extract(epoch from expires_at) * 1000)::float8 as expires,
               (extract(epoch from max_hold_until) * 1000)::float8 as max_hold
          from leasehold.leases where key = ${key}`;
        expect(row).toEqual({
          token,
          fence: String(fence),
          owner: "me",
          session_id: session.id,
          ttl_ms: 30_000,
          takeover_ms: 7_000,
          min_hold_ms: 5,
          metadata: { a: 1 },
          hold_until: null,
          revoked_at: null,
          queued: false,
          released_at: null,
          acquisitions: state === "free" ? 2 : 1,
          renewed: true,
          acquired,
          expires,
          max_hold: expires, // less than the TTL, so the lease ends with it
        });
        expect(Number(expires) - Number(acquired)).toBeCloseTo(20_000, 1);
      }
      expect(new Set(granted.map(({ acquired }) => acquired)).size).toBe(1);
    },
  );

  test("each grant of a key has a larger fence than the one before", async () => {
    const keys = keysOf("rising");
    let before = keys.map(() => 0n);
    for (let turn = 0; turn < 5; turn += 1) {
      const granted = await acquireFirst(sql, keys);
      const fences = granted.map(({ fence }) => fence ?? 0n);
      expect(fences.every((fence, index) => fence > (before[index] ?? 0n))).toBe(true);
      before = fences;
      expect(outcomes(await releaseBatch(sql, granted))).toEqual(keys.map(() => "released"));
    }
  });

  test("a key whose last fence is above the log counts on from there", async () => {
    const keys = keysOf("above");
    await releaseBatch(sql, await acquireFirst(sql, keys));
    await sql`update leasehold.leases set fence = 9e18::bigint where ${those(keys)}`;

    const granted = await acquireFirst(sql, keys);

    expect(granted.map(({ fence }) => fence)).toEqual(keys.map(() => 9_000_000_000_000_000_001n));
  });

  test("a try of what is held is answered with the holder, and leaves no lock, no row and no transaction", async () => {
    const keys = keysOf("held");
    const session = await openSession();
    const held = await acquireFirst(sql, keys, { session, owner: 'say "hi" \\ \u00e9' });

    const own = await openSession();
    await sql.begin(async (transaction) => {
      const answers = await acquireFirst(transaction, keys, { session: own });
      for (const [index, answer] of answers.entries()) {
        expect(answer).toMatchObject({
          outcome: "held",
          holder: 'say "hi" \\ \u00e9',
          holderFence: held[index]?.fence,
          holderSession: session.id,
          expires: held[index]?.expires,
          fence: null,
          ticket: null,
        });
      }
      const [after] = await transaction`
        select pg_current_xact_id_if_assigned()::text as xid,
               (select count(*)::int from pg_locks k where k.pid = pg_backend_pid() and k.locktype = 'advisory') as locks`;
      expect(after).toEqual({ xid: null, locks: 0 });
    });
    expect((await sql`select from leasehold.waiters where ${those(keys)}`).length).toBe(0);
  });

  test("one who waits for what is held is queued", async () => {
    const keys = keysOf("queued");
    const held = await acquireFirst(sql, keys);

    const answers = await acquireFirst(sql, keys, { waits: true });

    for (const [index, answer] of answers.entries()) {
      expect(answer).toMatchObject({
        outcome: "queued",
        expires: held[index]?.expires,
        nextLook: held[index]?.expires,
      });
      const rows = await sql`select ticket::text, token::text from leasehold.waiters where key = ${answer.key}`;
      expect([...rows]).toEqual([{ ticket: answer.ticket, token: answer.token }]);
    }
  });

  test("behind a holder who chose no delay, the head of the queue alone looks again within 80 ms", async () => {
    const keys = keysOf("no delay");
    const session = await openSession();
    const held = await acquireFirst(sql, keys, { session, takeoverMs: 0 });
    const behind = await openSession();

    const heads = await acquireFirst(sql, keys, { waits: true });
    const others = await acquireFirst(sql, keys, { session: behind, waits: true });

    const [{ now } = {}] = await sql`select (extract(epoch from clock_timestamp()) * 1000)::float8 as now`;
    for (const [index, { nextLook }] of heads.entries()) {
      expect(nextLook).toBeLessThanOrEqual(now + 80);
      expect(nextLook).toBeLessThan(Number(held[index]?.expires));
      expect(others[index]?.nextLook).toBe(held[index]?.expires);
    }
    await sql`update leasehold.leases set takeover_ms = 1000 where ${those(keys)}`;
    for (const { nextLook } of await acquireFirst(sql, heads, { waits: true }))
      expect(nextLook).toBeGreaterThan(now + 1_000);
  });

  test("a free key with a waiter goes to the waiter alone", async () => {
    const keys = keysOf("waited for");
    const held = await acquireFirst(sql, keys);
    const waiting = await acquireFirst(sql, keys, { waits: true });
    expect(outcomes(await releaseBatch(sql, held))).toEqual(keys.map(() => "released"));

    expect(outcomes(await acquireFirst(sql, keys))).toEqual(keys.map(() => "held"));
    expect(outcomes(await acquireFirst(sql, keys, { waits: true }))).toEqual(keys.map(() => "queued"));
    const served = await acquireFirst(sql, waiting, { waits: true });

    expect(outcomes(served)).toEqual(keys.map(() => "granted"));
    expect([
      ...(await sql`select token::text from leasehold.waiters where key = ${String(keys[0])}`),
    ]).not.toContainEqual({
      token: waiting[0]?.token,
    });
    expect(await sql`select from leasehold.leases where ${those(keys)} and not queued`).toHaveLength(0);
  });

  test("a key that cools is held until its minimum hold has ended", async () => {
    const keys = keysOf("cooling");
    const held = await acquireFirst(sql, keys, { minHoldMs: 60_000 });
    expect(outcomes(await releaseBatch(sql, held))).toEqual(keys.map(() => "released"));

    const answers = await acquireFirst(sql, keys);

    expect(outcomes(answers)).toEqual(keys.map(() => "held"));
    for (const [index, { expires }] of answers.entries())
      expect(expires).toBeCloseTo(Number(held[index]?.acquired) + 60_000, 1);
    await sql`update leasehold.leases set hold_until = clock_timestamp() where ${those(keys)}`;
    expect((await acquireFirst(sql, keys)).every(({ isPlain }) => isPlain)).toBe(true);
  });

  test.each([
    ["expired", "expires_at = clock_timestamp() - interval '1 second'", "expired"],
    ["revoked, and expired", "revoked_at = now(), expires_at = clock_timestamp()", "expired"],
  ])("a lease that is %s is taken over", async (label, change, takeover) => {
    const keys = keysOf(label);
    const held = await acquireFirst(sql, keys, { session: await openSession() });
    await sql.unsafe(`update leasehold.leases set ${change} where key = any (string_to_array($1, '|'))`, [
      keys.join("|"),
    ]);

    const answers = await acquireFirst(sql, keys);

    for (const [index, answer] of answers.entries()) {
      expect(answer).toMatchObject({ outcome: "granted", takeover, holder: "asker", holderFence: held[index]?.fence });
      expect(await leaseRow(sql, answer.key)).toMatchObject({
        token: answer.token,
        fence: answer.fence,
        sessionId: null,
      });
    }
  });

  test("a dead holder's lease is taken over, one that is revoked but lives is not", async () => {
    const keys = keysOf("dead");
    await acquireFirst(sql, keys, { session: await openSession({ isAlive: false }) }); // unproven
    const dead = await openSession();
    await acquireFirst(sql, keys, { session: dead, takeoverMs: 0 });
    await sql`update leasehold.leases set revoked_at = now() where ${those(keys)}`;
    expect(outcomes(await acquireFirst(sql, keys))).toEqual(keys.map(() => "held"));
    await presence`select pg_advisory_unlock(1279480140, ${dead.id}::int)`;

    const answers = await acquireFirst(sql, keys);

    expect(answers.map(({ outcome, takeover }) => [outcome, takeover])).toEqual(
      keys.map(() => ["granted", "orphaned"]),
    );
  });

  test("a session that is not alive is granted nothing, and told nothing", async () => {
    const keys = keysOf("unproven");
    const dead = await openSession({ isAlive: false });
    const forged = { ...(await openSession()), nonce: crypto.randomUUID() };
    for (const session of [dead, forged]) {
      expect(outcomes(await acquireFirst(sql, keys, { session }))).toEqual(keys.map(() => "unproven"));
    }
    expect(await sql`select from leasehold.leases where ${those(keys)}`).toHaveLength(0);
    const held = await acquireFirst(sql, keys);
    expect(outcomes(await acquireFirst(sql, keys, { session: dead }))).toEqual(keys.map(() => "unproven"));
    await releaseBatch(sql, held);
    expect(outcomes(await acquireFirst(sql, keys, { session: dead }))).toEqual(keys.map(() => "unproven"));
  });

  test("what comes too late changes nothing", async () => {
    const keys = keysOf("late");
    const notAfterMs = Date.now() - 60_000;
    expect(outcomes(await acquireFirst(sql, keys, { notAfterMs }))).toEqual(keys.map(() => "late"));
    expect(await sql`select from leasehold.leases where ${those(keys)}`).toHaveLength(0);
    const held = await acquireFirst(sql, keys);
    expect(outcomes(await acquireFirst(sql, keys, { notAfterMs }))).toEqual(keys.map(() => "late"));
    await releaseBatch(sql, held);
    expect(outcomes(await acquireFirst(sql, keys, { notAfterMs, waits: true }))).toEqual(keys.map(() => "late"));
    expect(await sql`select from leasehold.leases where ${those(keys)} and token is not null`).toHaveLength(0);
  });

  test("asked again with its token, a grant is the same, under the session that followed", async () => {
    const keys = keysOf("again");
    const before = await openSession();
    const granted = await acquireFirst(sql, keys, { session: before });
    const after = await openSession();

    const again = await acquireFirst(sql, granted, { session: after, former: [before.id], takeoverMs: 9_000 });

    expect(again.map(({ fence, expires }) => [fence, expires])).toEqual(
      granted.map(({ fence, expires }) => [fence, expires]),
    );
    for (const key of keys) expect(await leaseRow(sql, key)).toMatchObject({ sessionId: after.id, takeoverMs: 9_000 });
  });

  test("a row that a guard or a stranger keeps locked is busy, for a try and for one who waits", async () => {
    const keys = keysOf("guarded");
    const [first] = keys;
    await releaseBatch(sql, await acquireFirst(sql, keys));
    for (const mode of ["for key share", "for update"]) {
      const other = await openTransaction(`select from leasehold.leases where key = '${first}' ${mode}`);
      const answers = await acquireFirst(sql, keys);
      expect(answers.map(({ outcome, isPlain }) => [outcome, isPlain])).toEqual(
        keys.map((key) => (key === first ? ["busy", false] : ["granted", true])),
      );
      await releaseBatch(
        sql,
        answers.filter(({ outcome }) => outcome === "granted"),
      );
      await other.end();
    }
    expect(outcomes(await acquireFirst(sql, keys))).toEqual(keys.map(() => "granted"));
  });

  test("a twin that is not committed is not waited for", async () => {
    const keys = keysOf("twin");
    const [first] = keys;
    const twin =
      await openTransaction(`select from leasehold_internal.acquire_first(null, null, 0, 'twin', 1000, 0, null, null, false,
      'infinity', '{${first}}', array[gen_random_uuid()], null)`);

    const answers = await acquireFirst(sql, keys);
    await twin.end();

    expect(outcomes(answers)).toEqual(keys.map((key) => (key === first ? "busy" : "granted")));
    expect(await sql`select from leasehold.leases where key = ${String(first)}`).toHaveLength(0);
  });

  test("a release that was queued for tells who is next, who is notified unless it is who asks; what was lost is told why; what somebody keeps locked is busy", async () => {
    const keys = keysOf("release");
    const waiter = await openSession();
    let held = await acquireFirst(sql, keys);
    await acquireFirst(sql, keys, { session: waiter, waits: true });
    expect(await releaseBatch(sql, held)).toEqual(
      keys.map(() => ({ outcome: "released", reason: null, next: waiter.id })),
    );
    await using ears = await openEars(database, waiter.id);
    for (const asking of [waiter.id, null]) {
      await sql`select leasehold_internal.notify_next(${asking}::int, ${`{"${keys.join('","')}"}`}::text::text[])`;
      expect(await ears.count()).toBe(asking === null ? 1 : 0); // one commit, so one, however many keys there are
    }
    expect(await releaseBatch(sql, held)).toEqual(keys.map(() => ({ outcome: "gone", reason: "taken", next: null })));
    await sql`delete from leasehold.waiters`;

    for (const [change, answer] of [
      ["expires_at = clock_timestamp()", { outcome: "expired", reason: "expired" }],
      [
        "expires_at = clock_timestamp(), max_hold_until = clock_timestamp()",
        { outcome: "expired", reason: "max-hold" },
      ],
      ["expires_at = clock_timestamp(), revoked_at = clock_timestamp()", { outcome: "expired", reason: "forced" }],
      ["revoked_at = clock_timestamp()", { outcome: "released", reason: null }],
      ["fence = fence + 1", { outcome: "gone", reason: "taken" }],
      ["token = gen_random_uuid()", { outcome: "gone", reason: "taken" }],
    ] as const) {
      held = await acquireFirst(sql, keys);
      expect(outcomes(held)).toEqual(keys.map(() => "granted"));
      await sql.unsafe(`update leasehold.leases set ${change} where key = any (string_to_array($1, '|'))`, [
        keys.join("|"),
      ]);
      expect(await releaseBatch(sql, held)).toEqual(keys.map(() => ({ next: null, ...answer })));
      await sql`update leasehold.leases set token = null where ${those(keys)}`;
    }

    held = await acquireFirst(sql, keys);
    const guard = await openTransaction(`select from leasehold.leases where key = '${keys[0]}' for key share`);
    expect(outcomes(await releaseBatch(sql, held))).toEqual(keys.map(() => "released"));
    await guard.end();
    held = await acquireFirst(sql, keys);
    const stranger = await openTransaction(`select from leasehold.leases where key = '${keys[0]}' for update`);
    const answers = await sql.begin(async (transaction) => {
      await transaction.unsafe("set local statement_timeout = '20s'"); // or it would wait for the stranger for ever
      return releaseBatch(transaction, held);
    });
    expect(outcomes(answers)).toEqual(keys.map((_, index) => (index === 0 ? "busy" : "released")));
    await stranger.end();
    expect(outcomes(await releaseBatch(sql, held))).toEqual(
      keys.map((_, index) => (index === 0 ? "released" : "gone")),
    );
  });

  test("a guard does not keep what has expired from its release", async () => {
    const keys = keysOf("guarded release");
    const held = await acquireFirst(sql, keys);
    await sql`update leasehold.leases set expires_at = clock_timestamp() where ${those(keys)}`;
    const guard = await openTransaction(`select from leasehold.leases where key = '${keys[0]}' for key share`);
    expect(outcomes(await releaseBatch(sql, held))).toEqual(keys.map(() => "expired"));
    await guard.end();
  });

  test.each([false, true])(
    "an entry that was locked when its owner was granted goes later, and its owner is not woken by its own release (asks again: %s)",
    async (asksAgain) => {
      const keys = keysOf(`own entry ${asksAgain}`);
      const [mine, other] = [await openSession(), await openSession()];
      const held = await acquireFirst(sql, keys);
      const waiting = await acquireFirst(sql, keys, { session: mine, waits: true });
      await acquireFirst(sql, keys, { session: other, waits: true });
      await releaseBatch(sql, held);
      const entries = () => sql`select from leasehold.waiters where ${those(keys)} and session_id = ${mine.id}`;
      const stay = await openTransaction(`select from leasehold.waiters where session_id = ${mine.id} for update`);
      const granted = await acquireFirst(sql, waiting, { session: mine, waits: true });
      expect(outcomes(granted)).toEqual(keys.map(() => "granted"));
      await stay.end();
      expect(await entries()).toHaveLength(keys.length);

      if (asksAgain) {
        expect(outcomes(await acquireFirst(sql, waiting, { session: mine, waits: true }))).toEqual(
          keys.map(() => "granted"),
        );
        expect(await entries()).toHaveLength(0);
      }
      const released = await releaseBatch(sql, granted);

      expect(released).toEqual(keys.map(() => ({ outcome: "released", reason: null, next: other.id })));
      expect(await entries()).toHaveLength(0);
    },
  );

  test("an insert that stood still for long is refused", async () => {
    const standing = await createDatabase();
    // In the test 100 ms are long, and to insert a row takes longer.
    await standing.sql.unsafe(`
      create or replace function leasehold_internal._refuse_stale_insert(since timestamptz) returns void language plpgsql volatile as $$
      begin
        if clock_timestamp() > since + interval '100 milliseconds' then raise 'it stood still'; end if;
      end $$;
      create function public.stand_still() returns trigger language plpgsql as $$
      begin
        perform pg_sleep(0.2);
        return new;
      end $$;
      create trigger stand_still before insert on leasehold.leases for each row execute function public.stand_still();`);
    const keys = keysOf("stale");
    await expect(acquireFirst(standing.sql, keys)).rejects.toThrow("it stood still");
    await expect(ask(standing.sql, keys)).rejects.toThrow("it stood still");
    expect(await standing.sql`select from leasehold.leases`).toHaveLength(0);
    await standing[Symbol.asyncDispose]();
  });

  test("a renewal answers for all at once, but for what is not as usual", async () => {
    const keys = keysOf("renew");
    const [session, former] = [await openSession(), await openSession()];
    const held = await acquireFirst(sql, keys, { session });

    let renewed = await renewBatch(sql, held, { session, ttlMs: 90_000 });
    expect(renewed.map(({ outcome, isPlain }) => [outcome, isPlain])).toEqual(keys.map(() => ["renewed", true]));
    for (const [index, key] of keys.entries())
      expect((await leaseRow(sql, key)).expiresAt).toBeCloseTo(Number(renewed[index]?.expires), 2);
    const longest = renewed[0]?.expires;

    for (const ttlMs of [1_000, null]) {
      renewed = await renewBatch(sql, held, { session, ttlMs }); // never shorter
      expect(renewed).toEqual(keys.map(() => ({ outcome: "renewed", expires: longest, reason: null, isPlain: false })));
    }
    await sql`update leasehold.leases set session_id = ${former.id} where ${those(keys)}`;
    renewed = await renewBatch(sql, held, { session, former: [former.id], takeoverMs: 8_000, ttlMs: 95_000 });
    expect(renewed.map(({ outcome, isPlain }) => [outcome, isPlain])).toEqual(keys.map(() => ["renewed", false]));
    for (const key of keys)
      expect(await leaseRow(sql, key)).toMatchObject({ sessionId: session.id, takeoverMs: 8_000 });
    await sql`update leasehold.leases set max_hold_until = expires_at + interval '1 second' where ${those(keys)}`;
    renewed = await renewBatch(sql, held, { session, ttlMs: 900_000 });
    for (const [index, key] of keys.entries()) {
      expect(renewed[index]).toMatchObject({ outcome: "renewed", isPlain: false });
      const [row] =
        await sql`select (extract(epoch from max_hold_until) * 1000)::float8 as bound from leasehold.leases where key = ${key}`;
      expect(renewed[index]?.expires).toBe(row?.bound);
    }
    expect(outcomes(await renewBatch(sql, held, { session: { ...session, nonce: former.nonce }, ttlMs: 1 }))).toEqual(
      keys.map(() => "unproven"),
    );
    const other = await openTransaction(`select from leasehold.leases where key = '${keys[0]}' for no key update`);
    expect(outcomes(await renewBatch(sql, held, { session, ttlMs: 1 }))).toEqual(
      keys.map((_, index) => (index === 0 ? "busy" : "renewed")),
    );
    await other.end();
    await sql`update leasehold.leases set revoked_at = now() where ${those(keys)}`;
    renewed = await renewBatch(sql, held, { session, ttlMs: 90_000 });
    expect(renewed.map(({ outcome, reason }) => [outcome, reason])).toEqual(keys.map(() => ["lost", "forced"]));
  });
});

test("of a batch with keys of all kinds, each is answered as it would be alone", async () => {
  await releaseBatch(sql, await acquireFirst(sql, ["mixed free", "mixed busy"]));
  const [held] = await acquireFirst(sql, ["mixed held"]);
  const other = await openTransaction("select from leasehold.leases where key = 'mixed busy' for update");

  const answers = await acquireFirst(sql, [
    "mixed new",
    "mixed held",
    "mixed free",
    "mixed busy",
    "mixed new",
    "mixed free",
  ]);
  await other.end();

  expect(answers.map(({ outcome, isPlain }) => [outcome, isPlain])).toEqual([
    ["granted", true],
    ["held", false],
    ["granted", true],
    ["busy", false],
    ["held", false],
    ["held", false],
  ]);
  expect(answers[1]?.holderFence).toBe(held?.fence);
  expect(answers[4]?.holderFence).toBe(answers[0]?.fence);
});

test("each key of a batch is answered with its own fence", async () => {
  const free = ["own fence 1", "own fence 2", "own fence 3"];
  await releaseBatch(sql, await acquireFirst(sql, free));
  const above = 9_100_000_000_000_000_000n;
  for (const [index, key] of free.entries())
    await sql`update leasehold.leases set fence = ${String(above + BigInt(index) * 10n)} where key = ${key}`;
  for (const keys of [free, ["own fence new 1", ...free.toReversed(), "own fence new 2"]]) {
    const granted = await acquireFirst(sql, keys);
    for (const { key, fence, isPlain } of granted)
      expect([isPlain, fence]).toEqual([true, (await leaseRow(sql, key)).fence]);
    expect(new Set(granted.map(({ fence }) => fence)).size).toBeGreaterThanOrEqual(free.length);
    await releaseBatch(sql, granted);
  }
});

test("of two releases of one key in a statement, the one with another fence released nothing", async () => {
  const held = await acquireFirst(sql, ["twice"]);
  const [{ fence, ...own }] = held as [(typeof held)[0]];
  const released = await releaseBatch(sql, [
    { ...own, fence },
    { ...own, fence: (fence ?? 0n) - 1n },
  ]);
  expect(outcomes(released)).toEqual(["released", "gone"]);
});

test("an insert is refused after 30 seconds", async () => {
  const refuse = (age: string) =>
    sql`select leasehold_internal._refuse_stale_insert(clock_timestamp() - ${age}::text::interval)`;
  await refuse("29 seconds");
  await expect(refuse("31 seconds")).rejects.toMatchObject({ code: "40001" });
});

test("a renewal that waited for its row is answered like any other", async () => {
  const [held] = await acquireFirst(sql, ["was busy"]);
  const renew = async (fence: bigint | null | undefined) => {
    const [answer] = await sql`
      select outcome, reason, expires from leasehold_internal.renew_busy(null, null, null, 'was busy', ${held?.token ?? null}::uuid,
        ${String(fence)}::text::bigint, 90000)`;
    return answer;
  };
  expect(await renew((held?.fence ?? 0n) - 1n)).toMatchObject({ outcome: "lost", reason: "taken" });
  const renewed = await renew(held?.fence);
  expect(renewed).toMatchObject({ outcome: "renewed", reason: null });
  expect(renewed?.expires).toBeCloseTo((await leaseRow(sql, "was busy")).expiresAt, 2);
  await sql`update leasehold.leases set revoked_at = now() where key = 'was busy'`;
  expect(await renew(held?.fence)).toMatchObject({ outcome: "lost", reason: "forced" });
});

test("more than 1,000 claims, and terms out of bounds, are refused", async () => {
  const keys = Array.from({ length: 1_001 }, (_, n) => `many ${n}`);
  await expect(acquireFirst(sql, keys)).rejects.toMatchObject({ code: "LH003" });
  for (const terms of [
    { ttlMs: 0 },
    { owner: "" },
    { owner: "x".repeat(257) },
    { minHoldMs: -1 },
    { maxHoldMs: 0 },
    { takeoverMs: -1 },
    { metadata: `"${"x".repeat(65_536)}"` },
    { metadata: "[".repeat(102) + "]".repeat(102) },
  ]) {
    await expect(acquireFirst(sql, ["bounds"], terms), JSON.stringify(terms).slice(0, 40)).rejects.toMatchObject({
      code: "22023",
    });
  }
  expect(await sql`select from leasehold.leases where key = 'bounds' or key like 'many %'`).toHaveLength(0);
});

test("1,000 claims of keys never seen are granted and released in one statement each", async () => {
  const keys = Array.from({ length: 1_000 }, (_, n) => `thousand ${n}`);
  const [granted, locks] = await sql.begin(async (transaction) => {
    const answers = await acquireFirst(transaction, keys);
    const [found] = await transaction`
      select count(*)::int as n from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'`;
    return [answers, found?.n as number] as const;
  });
  expect(granted.every(({ isPlain }) => isPlain)).toBe(true);
  expect(locks).toBeLessThanOrEqual(100); // they share the server's lock table with everybody
  expect(outcomes(await releaseBatch(sql, granted))).toEqual(keys.map(() => "released"));
});

test("a grant waits for the disk, a try that fails and a release do not make others wait", async () => {
  const durability = (
    what: (transaction: import("postgres").TransactionSql) => Promise<unknown>,
    before: "off" | "on" | "remote_apply" = "off",
  ) =>
    sql.begin(async (transaction) => {
      await transaction.unsafe(`set local synchronous_commit = ${before}`);
      await what(transaction);
      const [row] = await transaction`select current_setting('synchronous_commit') as value`;
      return row?.value;
    });
  expect(await durability((transaction) => acquireFirst(transaction, ["durable"]))).toBe("on");
  expect(await durability((transaction) => acquireFirst(transaction, ["durable"]))).toBe("off");
  // Somebody who queues with the same call takes nothing from what is granted.
  expect(
    await durability((transaction) => acquireFirst(transaction, ["durable", "durable too"], { waits: true })),
  ).toBe("on");
  expect(
    await durability(
      (transaction) => acquireFirst(transaction, ["durable", "durable three"], { waits: true }),
      "remote_apply",
    ),
  ).toBe("remote_apply");
  for (const known of [["durable one"], ["durable five", "durable six"]]) {
    await releaseBatch(sql, await acquireFirst(sql, known));
    expect(await durability((transaction) => acquireFirst(transaction, known))).toBe("on");
  }
  // The last of several looks finds a holder.
  const looks = (before: "off" | "remote_apply") =>
    durability((transaction) => ask(transaction, [`durable before ${before}`, "durable two"]), before);
  await acquireFirst(sql, ["durable two"]);
  expect(await looks("off")).toBe("on");
  expect(await looks("remote_apply")).toBe("remote_apply");
  const [held] = await acquireFirst(sql, ["durable four"]);
  if (held === undefined) throw new Error("no answer");
  expect(await durability((transaction) => renewBatch(transaction, [held], { ttlMs: 90_000 }))).toBe("on");
  expect(await durability((transaction) => releaseBatch(transaction, [held], { isRelaxed: false }), "on")).toBe("on");
  expect(await durability((transaction) => releaseBatch(transaction, [held]), "on")).toBe("off");
});
