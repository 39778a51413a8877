// What an administrator does to the connections of a process.
import { setTimeout as sleep } from "node:timers/promises";
import { openClient } from "../../support/client.js";
import { withSuperuser } from "../stage.js";
import type { Fault } from "./fault.js";
import { catchMoment } from "./moments.js";

function endBackends(what: "terminate" | "cancel"): Fault {
  return {
    of: "process",
    async run(stage, actor, draw) {
      const { moment, during, release } = await catchMoment(actor, draw);
      const end = stage.journal.begin({ fault: what, on: [actor.name], moment, ...(during && { during }) });
      const isOne = draw.variant < 0.5;
      await withSuperuser(stage, (sql) =>
        sql.unsafe(
          `select pg_${what}_backend(pid) from pg_stat_activity where application_name ~ ('\\m' || $1 || '\\M') order by pid ${isOne ? "limit 1" : ""}`,
          [actor.name],
        ),
      ).catch(() => {}); // the server may be away at that moment
      release();
      end();
    },
  };
}

export const terminate: Fault = endBackends("terminate");
export const cancel: Fault = endBackends("cancel");

/** Nobody can connect any more, for the others have taken all there is. */
export const noConnections: Fault = {
  of: "server",
  async run(stage, draw) {
    const end = stage.journal.begin({ fault: "no connections", on: [] });
    const open = [];
    for (let n = 0; n < 200; n += 1) {
      const client = await openClient(stage.primary.url).catch(() => undefined);
      if (client === undefined) break;
      open.push(client);
    }
    // those that stand now must connect again
    if (draw.variant < 0.5 && stage.actors[0]) stage.actors[0].proxy.cutAll();
    await sleep(200 + draw.length * 2_000);
    await Promise.all(open.map((client) => client.end({ timeout: 0 })));
    end();
  },
};
