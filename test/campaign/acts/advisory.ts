import { advisoryLock } from "../../../src/index.js";
import { statementTimeoutMs } from "../worker/bounds.js";
import type { Act } from "../worker/flow.js";

/** A lock of Postgres's own, in a transaction. */
export const advisoryAct: Act = {
  name: "advisory lock",
  weight: 2,
  async run(flow) {
    const { args, chance, data, log } = flow;
    const key = `advisory:${chance.between(1, 2)}`;
    const waitMs = chance.pick([0, 50, 400]);
    const options = { waitMs, shared: chance.is(0.4) };
    const holdMs = chance.between(0, 60);
    const boundMs = args.connectTimeoutMs + 4 * statementTimeoutMs(args) + waitMs + holdMs;
    const { isDone } = await log.call({ call: "advisoryLock", keys: [key], waitMs, boundMs }, async () => {
      const client = await data.pool.connect();
      try {
        await client.query("begin");
        await advisoryLock(client, key, options);
        await flow.pause(holdMs);
        await client.query("commit");
        client.release();
      } catch (error) {
        await client.query("rollback").then(
          () => client.release(),
          (broken) => client.release(broken),
        );
        throw error;
      }
    });
    return isDone;
  },
};
