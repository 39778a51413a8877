// What happens between a process and the server.
import { setTimeout as sleep } from "node:timers/promises";
import { lengthMs, pick } from "../draw.js";
import type { Fault } from "./fault.js";
import { catchMoment, nameOf } from "./moments.js";

export const cut: Fault = {
  of: "process",
  async run(stage, actor, draw) {
    const { moment, during, release } = await catchMoment(actor, draw);
    const end = stage.journal.begin({ fault: "cut", on: [actor.name], moment, ...(during && { during }) });
    const all = actor.proxy.connections;
    // one of them, or all
    for (const connection of draw.variant < 0.5 ? all : all.slice(0, 1)) connection.cut();
    release();
    end();
  },
};

export const silence: Fault = {
  of: "process",
  async run(stage, actor, draw) {
    const { moment, during, release } = await catchMoment(actor, draw);
    const direction = pick(["both", "to-server", "to-client"] as const, draw.variant);
    const end = stage.journal.begin({ fault: "silence", on: [actor.name], moment, ...(during && { during }) });
    actor.proxy.blackhole(direction);
    release();
    await sleep(lengthMs(draw.length, 50, 6_000));
    actor.proxy.heal();
    end();
  },
};

export const delay: Fault = {
  of: "process",
  async run(stage, actor, draw) {
    const end = stage.journal.begin({ fault: "delay", on: [actor.name] });
    actor.proxy.delayMs.toServer = draw.variant * 200;
    actor.proxy.delayMs.toClient = draw.detail * 200;
    await sleep(lengthMs(draw.length, 200, 4_000));
    actor.proxy.delayMs.toServer = 0;
    actor.proxy.delayMs.toClient = 0;
    end();
  },
};

export const refuse: Fault = {
  of: "process",
  async run(stage, actor, draw) {
    const end = stage.journal.begin({ fault: "refuse", on: [actor.name] });
    await actor.proxy.refuse(true);
    if (draw.variant < 0.7) actor.proxy.cutAll();
    await sleep(lengthMs(draw.length, 50, 4_000));
    await actor.proxy.refuse(false);
    end();
  },
};

/** The server does what was asked, and the answer never comes. */
export const lostAnswer: Fault = {
  of: "process",
  async run(stage, actor, draw) {
    // another moment of the same thing
    const { moment, during, release } = await catchMoment(actor, { ...draw, moment: 0.7 });
    const end = stage.journal.begin({ fault: "lost answer", on: [actor.name], moment, ...(during && { during }) });
    if (draw.variant < 0.5) await sleep(lengthMs(draw.length, 50, 4_000)); // a black hole; else a reset
    release();
    end();
  },
};

/** A statement that arrives late: after others of other connections, after its caller has given up, after its process died. */
export const hungStatement: Fault = {
  of: "process",
  async run(stage, actor, draw) {
    const pattern = pick(
      [
        /leasehold_internal\.acquire/,
        /leasehold_internal\.(release|abandon)/,
        /leasehold_internal\.renew/,
        /leasehold/,
      ],
      draw.detail,
    );
    const held = actor.proxy.holdStatement(pattern);
    const statement = await Promise.race([held.arrived, sleep(700, undefined)]);
    if (statement === undefined) {
      held.cancel();
      return;
    }
    const end = stage.journal.begin({
      fault: "hung statement",
      on: [actor.name],
      moment: "before sending",
      during: nameOf(statement.sql),
    });
    if (draw.variant < 0.4) statement.connection.cutClient();
    await sleep(lengthMs(draw.length, 50, 6_000));
    await Promise.race([held.forward(), sleep(2_000)]);
    end();
  },
};
