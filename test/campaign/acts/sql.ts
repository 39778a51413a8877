// The same locks over the SQL API, from this process's own pool.
import type { Grant, Terms } from "../log.js";
import { statementTimeoutMs } from "../worker/bounds.js";
import type { Act, Flow } from "../worker/flow.js";
import type { Call } from "../worker/log-file.js";
import { alone } from "./options.js";
import { guardInSql, put } from "./transaction.js";

/** Its token is known, so that it can be tried again when it is worth nothing any more. */
export const sqlAct: Act = {
  name: "SQL",
  weight: 6,
  isPossible: ({ keys }) => keys.accounts.length > 0 && keys.shared.length > 0 && keys.semaphore.length > 0,
  async run(flow) {
    const { args, chance, log, data, memory } = flow;
    const { key, terms, isAccount } = drawKey(flow);
    const ttlMs = chance.between(500, 3_000);
    const boundMs = args.connectTimeoutMs + statementTimeoutMs(args);
    const grant = await acquire(flow, key, terms, ttlMs);
    if (grant === null) return false;
    const { fence, token, lock } = grant;
    if (isAccount) await write(flow, grant);
    await flow.pause(chance.between(0, 80));
    if (chance.is(0.4)) {
      await log.call({ call: "renew", keys: [key], lock, by: "SQL", ttlMs, boundMs }, () =>
        data.query("select leasehold.renew($1::text, $2::uuid, $3::interval)", [key, token, `${ttlMs} ms`]),
      );
    }
    const released = await log.call(
      { call: "release", keys: [key], lock, by: "SQL", boundMs },
      () => data.query("select leasehold.release($1::text, $2::uuid) as released", [key, token]),
      ([row]) => ({ outcome: row?.released === true ? "done" : "nothing" }),
    );
    memory.add({ key, fence, token }, ttlMs);
    return released.isDone && released.value[0]?.released === true;
  },
};

function drawKey({ args, chance }: Flow): { readonly key: string; readonly terms: Terms; readonly isAccount: boolean } {
  const { exclusive, shared, semaphore, accounts } = args.keys;
  const what = chance.number();
  if (what < 0.4) return { key: chance.pick(accounts), terms: alone, isAccount: true };
  if (what < 0.6) return { key: chance.pick(exclusive), terms: alone, isAccount: false };
  if (what < 0.8) return { key: chance.pick(shared), terms: { mode: "shared", weight: 1 }, isAccount: false };
  const { key, capacity } = chance.pick(semaphore);
  const weight = chance.between(1, capacity);
  return { key, terms: { mode: "semaphore", weight, capacity }, isAccount: false };
}

/** It waits no longer than the pool lets a statement take. */
async function acquire(flow: Flow, key: string, terms: Terms, ttlMs: number): Promise<Grant | null> {
  const { args, chance, log, data } = flow;
  const isTry = chance.is(0.6);
  const waitMs = chance.between(0, 500);
  const { mode, capacity = null, weight = null } = terms;
  const parameters = [
    key,
    `${ttlMs} ms`,
    args.name,
    mode === "shared",
    mode === "semaphore" ? capacity : null,
    mode === "semaphore" ? weight : null,
  ];
  const options =
    "ttl => $2::interval, owner => $3::text, shared => $4::boolean, capacity => $5::integer, weight => $6::integer";
  const text = isTry
    ? `select token, fence from leasehold.try_acquire($1::text, ${options}) where acquired`
    : `call leasehold.acquire($1::text, wait => '${waitMs} ms', ${options})`;
  const call: Call = {
    call: isTry ? "tryAcquire" : "acquire",
    keys: [key],
    terms,
    ttlMs,
    keepAlive: false,
    by: "SQL",
    ...(isTry ? {} : { waitMs }),
    boundMs: args.connectTimeoutMs + statementTimeoutMs(args),
  };
  let grant: Grant | null = null;
  await log.call(
    call,
    () => data.query(text, parameters),
    ([row]) => {
      if (row === undefined) return { outcome: "nothing" };
      const token = String(row.token);
      grant = { ...terms, lock: `sql:${token}`, key, fence: String(row.fence), token, ttlMs };
      return { outcome: "done", grants: [grant] };
    },
  );
  return grant;
}

async function write({ args, chance, log, data }: Flow, { key, fence, lock }: Grant): Promise<void> {
  const plain = data.libraries.find(({ name }) => name === "node-postgres")?.plain;
  if (plain === undefined) return;
  const boundMs = args.connectTimeoutMs + 6 * statementTimeoutMs(args);
  await log.call({ call: "transaction", keys: [key], lock, by: "SQL", boundMs }, () =>
    plain(async (tx) => {
      await guardInSql(tx, key, fence);
      const [row] = await tx.query("select value from campaign.accounts where key = $1::text", [key]);
      const was = Number(row?.value);
      const value = was + chance.between(-20, 20);
      await put(tx, { key, fence, isShare: false, was, value, worker: args.name });
    }),
  );
}
