// A position in a queue is given by the server, and nobody chooses their own.
import { expect, test } from "vitest";
import { acquireRows } from "../support/acts.js";
import { openClient } from "../support/client.js";
import { createDatabase, createRole } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { queueOf, untilQueued } from "./queue.js";

const database = await createDatabase();
const app = await createRole(database, { grantUsage: true });

interface Claim {
  readonly token?: string;
  readonly ticket?: string | null;
  readonly proof?: string | null;
}

type Queued = Required<Claim> & { readonly token: string; readonly ticket: string };

/** As the client sends it. */
async function joinQueue(
  key: string,
  { token = crypto.randomUUID(), ticket = null, proof = null }: Claim = {},
): Promise<Queued> {
  const client = await openClient(app.url);
  try {
    const asking = { key, token, owner: "waiter", waits: true, ticket, proof };
    const [row] = await client.unsafe(`select outcome, ticket::text, proof::text from ${acquireRows([asking])}`);
    expect(row?.outcome).toBe("queued");
    return { token, ticket: row?.ticket, proof: row?.proof };
  } finally {
    await client.end();
  }
}

test("a ticket that was not given to this token for this key is a position at the end", async () => {
  await using locker = openLocker(database);
  await using lock = await locker.acquire("queue");
  await using elsewhere = await locker.acquire("other queue");
  const first = await joinQueue("queue");
  const gone = await joinQueue("queue");
  const last = await joinQueue("queue");
  const there = await joinQueue("other queue");
  await database.sql`delete from leasehold.waiters where token = ${gone.token}::uuid or token = ${there.token}::uuid`;

  const claims: Claim[] = [
    { ticket: "-1" },
    { ticket: "-1", proof: "0" },
    { ticket: "0", proof: first.proof },
    { ticket: String(BigInt(first.ticket) - 1n), proof: first.proof },
    { ticket: "9223372036854775807", proof: "9223372036854775807" },
    { ticket: first.ticket, proof: first.proof },
    { ticket: gone.ticket, proof: gone.proof }, // another's
    { ticket: there.ticket, proof: there.proof, token: there.token }, // of another key
    { ticket: gone.ticket, token: gone.token }, // without the proof
  ];
  let before = BigInt(last.ticket);
  for (const claim of claims) {
    const { ticket } = await joinQueue("queue", claim);
    expect(BigInt(ticket), JSON.stringify(claim)).toBeGreaterThan(before);
    expect(BigInt(ticket)).toBeLessThan(before + 1_000n);
    before = BigInt(ticket);
  }
  expect((await queueOf(database, "queue"))[0]?.token).toBe(first.token);
  await elsewhere.release();
  await lock.release();
  await database.sql`truncate leasehold.waiters`;
});

test("with its proof a token has its old position again, when the queue was lost", async () => {
  await using locker = openLocker(database);
  await using lock = await locker.acquire("lost queue");
  const [first, second] = [await joinQueue("lost queue"), await joinQueue("lost queue")];
  // a look is told the same again
  expect(await joinQueue("lost queue", first)).toEqual(first);
  expect(await joinQueue("lost queue", { token: first.token })).toEqual(first);
  await database.sql`delete from leasehold.waiters where key = 'lost queue'`;
  const third = await joinQueue("lost queue");
  expect(await joinQueue("lost queue", second)).toEqual(second);
  expect(await joinQueue("lost queue", first)).toEqual(first);
  const queue = await untilQueued(database, "lost queue", 3);
  expect(queue.map(({ token }) => token)).toEqual([first.token, second.token, third.token]);
  await lock.release();
  await database.sql`truncate leasehold.waiters`;
});
