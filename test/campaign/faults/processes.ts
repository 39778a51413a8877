// What happens to a process: it dies, stands still, computes for too long, has its clock set.
import { setTimeout as sleep } from "node:timers/promises";
import { lengthMs } from "../draw.js";
import type { Fault } from "./fault.js";
import { catchMoment } from "./moments.js";

export const kill: Fault = {
  of: "process",
  async run(stage, actor, draw) {
    const { moment, during, release } = await catchMoment(actor, draw);
    const end = stage.journal.begin({ fault: "kill", on: [actor.name], moment, ...(during && { during }) });
    await actor.kill();
    release();
    end();
    await stage.replace(actor);
  },
};

export const freeze: Fault = {
  of: "process",
  async run(stage, actor, draw) {
    const { moment, during, release } = await catchMoment(actor, draw);
    const end = stage.journal.begin({ fault: "freeze", on: [actor.name], moment, ...(during && { during }) });
    actor.freeze();
    await sleep(lengthMs(draw.length, 20, 5_000));
    actor.resume();
    release();
    end();
  },
};

export const block: Fault = {
  of: "process",
  async run(stage, actor, draw) {
    const { moment, during, release } = await catchMoment(actor, draw);
    actor.resume();
    const end = stage.journal.begin({ fault: "block", on: [actor.name], moment, ...(during && { during }) });
    await actor.block(lengthMs(draw.length, 20, 3_000));
    release();
    end();
  },
};

export const wallClock: Fault = {
  of: "process",
  async run(stage, actor, draw) {
    if (stage.setWallClock === undefined) return;
    const seconds = Math.round((draw.variant - 0.5) * 40);
    const end = stage.journal.begin({ fault: "wall clock", on: [actor.name], during: `${seconds} s` });
    await stage.setWallClock(actor, seconds);
    end();
  },
};
