// What happens to the server: it crashes, restarts, loses its disk, is replaced by its standby, has its clock set.
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { lengthMs } from "../draw.js";
import { type Stage, withSuperuser } from "../stage.js";
import type { Fault } from "./fault.js";
import { catchMoment } from "./moments.js";

function nameOfPrimary(stage: Stage): string {
  return stage.names.get(stage.primary) ?? "?";
}

/** A process whose statement is chosen as the moment. */
function witness(stage: Stage, at: number) {
  return stage.actors[Math.floor(at * stage.actors.length)];
}

export const crash: Fault = {
  of: "server",
  async run(stage, draw) {
    const actor = witness(stage, draw.whom);
    const caught = actor && (await catchMoment(actor, draw));
    const end = stage.journal.begin({
      fault: "crash",
      on: [],
      moment: caught?.moment ?? "any",
      ...(caught?.during && { during: caught.during }),
    });
    await stage.primary.stop("immediate");
    caught?.release();
    await sleep(lengthMs(draw.length, 0, 4_000));
    await stage.primary.start();
    stage.journal.write({ e: "primary", node: nameOfPrimary(stage), isLagging: false });
    end();
  },
};

export const restart: Fault = {
  of: "server",
  async run(stage, draw) {
    const end = stage.journal.begin({ fault: "restart", on: [] });
    await stage.primary.stop("fast");
    await sleep(lengthMs(draw.length, 0, 2_000));
    await stage.primary.start();
    stage.journal.write({ e: "primary", node: nameOfPrimary(stage), isLagging: false });
    end();
  },
};

/** One of its processes dies: the server then ends all others, and recovers by itself. */
export const killBackend: Fault = {
  of: "server",
  async run(stage, draw) {
    const actor = witness(stage, draw.whom);
    const caught = actor && (await catchMoment(actor, draw));
    const end = stage.journal.begin({ fault: "kill backend", on: [], moment: caught?.moment ?? "any" });
    const { primary } = stage;
    const pid = await withSuperuser(stage, async (sql) => {
      const [row] = await sql`
        select pid from pg_stat_activity where application_name like 'leasehold%' order by random() limit 1`;
      return row?.pid as number | undefined;
    }).catch(() => undefined);
    if (pid !== undefined) process.kill(pid, "SIGKILL");
    caught?.release();
    // it is back when it answers
    for (let n = 0; n < 400; n += 1) {
      await sleep(50);
      const isBack = await withSuperuser(stage, (sql) => sql`select 1`).then(
        () => true,
        () => false,
      );
      if (isBack) break;
    }
    if (primary.pid === undefined) await primary.start();
    stage.journal.write({ e: "primary", node: nameOfPrimary(stage), isLagging: false });
    end();
  },
};

/** The standby takes over. Half of the processes may go on with the old one for a while. */
export const promote: Fault = {
  of: "server",
  async run(stage, draw) {
    const { standby, primary } = stage;
    if (standby === undefined) return;
    stage.standby = undefined;
    const isLagging = stage.isLagging;
    const leavesOldPrimary = stage.leavesOldPrimary;
    const end = stage.journal.begin({ fault: "promote", on: [] });
    if (isLagging) {
      await standby.stopReceiving();
      await sleep(lengthMs(draw.length, 100, 3_000)); // so much is lost
    }
    if (!leavesOldPrimary) await primary.stop("immediate");
    else if (!isLagging) await standby.stopReceiving();
    await standby.promote();
    stage.primary = standby;
    stage.journal.write({ e: "primary", node: nameOfPrimary(stage), isLagging });
    const half = Math.ceil(stage.actors.length / 2);
    stage.retarget(leavesOldPrimary ? stage.actors.slice(0, half) : stage.actors);
    if (leavesOldPrimary) {
      await sleep(500 + draw.variant * 3_000);
      await primary.stop("immediate");
      stage.retarget(stage.actors);
    }
    end();
  },
};

export const diskFull: Fault = {
  of: "server",
  async run(stage, draw) {
    if (stage.disk === undefined) return;
    const end = stage.journal.begin({ fault: "disk full", on: [] });
    const filler = join(stage.disk, "filler");
    const file = await open(filler, "w");
    const chunk = Buffer.alloc(1 << 20, 1);
    try {
      for (;;) await file.write(chunk);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    } finally {
      await file.close();
    }
    // rows of the tables have room in their files for a while: a table that grows has none
    await withSuperuser(
      stage,
      (sql) =>
        sql`create table if not exists public.filler as select repeat('x', 1000) from generate_series(1, 100000)`,
    ).catch(() => {});
    await sleep(lengthMs(draw.length, 300, 3_000));
    await rm(filler);
    await sleep(300);
    // a server that could not write its log has stopped
    if (stage.primary.pid === undefined) {
      await stage.primary.start();
      stage.journal.write({ e: "primary", node: nameOfPrimary(stage), isLagging: false });
    }
    end();
  },
};

export const serverClock: Fault = {
  of: "server",
  async run(stage, draw) {
    if (stage.setServerClock === undefined) return;
    const seconds = Math.round((draw.variant - 0.5) * 20);
    const end = stage.journal.begin({ fault: "server clock", on: [], during: `${seconds} s` });
    stage.journal.write({ e: "server-clock", node: nameOfPrimary(stage), offset: seconds * 1_000_000 });
    await stage.setServerClock(seconds);
    end();
  },
};
