import { statementTimeoutMs } from "../worker/bounds.js";
import type { Act, Flow } from "../worker/flow.js";
import { guardInSql } from "./transaction.js";

/** Comes back to a grant that ended long ago, by its token and its fence: nothing of it may work any more. */
export const staleAct: Act = {
  name: "stale",
  weight: 4,
  async run(flow) {
    const { chance, memory } = flow;
    const ended = memory.take(chance.number());
    if (ended === undefined) return false;
    const { key, fence, token } = ended;
    if (fence !== null && (token === null || chance.is(0.3))) return await guardLate(flow, key, fence);
    if (token === null) return false;
    return chance.is(0.5) ? await renewLate(flow, key, token) : await releaseLate(flow, key, token);
  },
};

/** True: it was refused. */
async function guardLate({ args, data, log }: Flow, key: string, fence: string): Promise<boolean> {
  const boundMs = args.connectTimeoutMs + 4 * statementTimeoutMs(args);
  const plain = data.libraries.find(({ name }) => name === "node-postgres")?.plain;
  if (plain === undefined) return false;
  const result = await log.call({ call: "transaction", keys: [key], isStale: true, by: "SQL", boundMs }, () =>
    plain((tx) => guardInSql(tx, key, fence)),
  );
  return !result.isDone && result.failure.code === "LH001";
}

async function renewLate({ args, data, log }: Flow, key: string, token: string): Promise<boolean> {
  const result = await log.call(
    { call: "renew", keys: [key], isStale: true, by: "SQL", boundMs: args.connectTimeoutMs + statementTimeoutMs(args) },
    () => data.query("select leasehold.renew($1::text, $2::uuid)", [key, token]),
  );
  return !result.isDone && result.failure.code === "LH002";
}

async function releaseLate({ args, data, log }: Flow, key: string, token: string): Promise<boolean> {
  const result = await log.call(
    {
      call: "release",
      keys: [key],
      isStale: true,
      by: "SQL",
      boundMs: args.connectTimeoutMs + statementTimeoutMs(args),
    },
    () => data.query("select leasehold.release($1::text, $2::uuid) as released", [key, token]),
    ([row]) => ({ outcome: row?.released === true ? "done" : "nothing" }),
  );
  return result.isDone && result.value[0]?.released === false;
}
