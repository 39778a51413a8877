// Who judges a session must not be overtaken by a heartbeat: its process believes for another takeover delay then.
import { expect, test } from "vitest";
import { openClient } from "../support/client.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { pauseReads } from "../support/paused-reads.js";

const database = await createDatabase();
const { sql } = database;
const presenceClass = 1279480140;
const takeoverMs = 100;

/** A session that was silent for long. */
async function insertSession(id: number): Promise<string> {
  const nonce = crypto.randomUUID();
  expectLeft(database, "sessions");
  await sql`
    insert into leasehold.sessions (id, nonce, owner, pid, host, application_name, version, started_at, seen_at)
    values (${id}, ${nonce}, 'silent', 1, 'host', '', '', now() - interval '1 hour', now() - interval '1 hour')`;
  return nonce;
}

test("a heartbeat that is written while its session is judged, before its connection ends, saves it", async () => {
  await insertSession(1);
  const holder = await openClient(database.url);
  const judge = await openClient(database.url);
  const isDead = async () =>
    (await judge`select leasehold_internal._is_dead(1, ${takeoverMs}) as dead`)[0]?.dead as boolean;
  await holder`select pg_advisory_lock(${presenceClass}, 1)`;
  {
    await using reads = await pauseReads(sql, "seen_at");
    const verdict = isDead();
    // In the right order it has passed already: the holder's connection stands, so nothing else is looked at.
    await Promise.race([verdict, reads.reached()]);
    await sql`update leasehold.real_sessions set seen_at = clock_timestamp() where id = 1`;
    await holder`select pg_advisory_unlock(${presenceClass}, 1)`;
    await reads.goOn();
    expect(await verdict).toBe(false);
  }

  await sql`update leasehold.sessions set seen_at = now() - interval '1 hour' where id = 1`;
  expect(await isDead()).toBe(true);
  await holder.end();
  await judge.end();
});

test("a heartbeat counts on the connection that holds the presence lock alone", async () => {
  const nonce = await insertSession(2);
  const connection = await openClient(database.url);
  const [{ pid } = {}] = await connection`select pg_backend_pid() as pid`;
  await connection`select set_config('leasehold.session', ${nonce}, false)`;
  await sql`update leasehold.sessions set pid = ${pid} where id = 2`;
  const beat = async () => {
    const [row] = await connection`select alive from leasehold_internal.heartbeat(2, ${nonce}::uuid)`;
    const [seen] =
      await sql`select seen_at > now() - interval '1 minute' as lately from leasehold.sessions where id = 2`;
    return { alive: row?.alive, isSeen: seen?.lately };
  };

  expect(await beat()).toEqual({ alive: false, isSeen: false });
  await connection`select pg_advisory_lock(${presenceClass}, 2)`;
  expect(await beat()).toEqual({ alive: true, isSeen: true });
  await connection.end();
});
