// Draws what happens, and makes it happen, until the round is over.
import { setTimeout as sleep } from "node:timers/promises";
import { randomFrom } from "../support/random.js";
import { type Draw, drawFrom } from "./draw.js";
import { faults } from "./faults/all.js";
import type { FaultName } from "./names.js";
import type { Stage } from "./stage.js";

export type Weights = Partial<Readonly<Record<FaultName, number>>>;

/** How many faults are at work at once. */
const AT_ONCE = 3;

/** Each draws from a seed of its own; what one draws does not depend on how long the others take. */
export async function torment(stage: Stage, weights: Weights, newSeed: () => number): Promise<void> {
  const disturbers = Array.from({ length: AT_ONCE }, () => disturb(stage, weights, randomFrom(newSeed())));
  const ended = await Promise.allSettled(disturbers);
  const failed = ended.find((one) => one.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

async function disturb(stage: Stage, weights: Weights, random: () => number): Promise<void> {
  while (!stage.isOver()) {
    const pauseMs = random() ** 2 * 1_200;
    const draw = drawFrom(random);
    await sleep(pauseMs);
    if (stage.isOver()) return;
    await strike(stage, choose(weights, draw.what), draw);
  }
}

async function strike(stage: Stage, name: FaultName, draw: Draw): Promise<void> {
  const fault = faults[name];
  if (fault.of === "tables") return fault.run(stage, draw);
  if (fault.of === "server") {
    if (stage.isServerDisturbed) return;
    stage.isServerDisturbed = true;
    return fault.run(stage, draw).finally(() => {
      stage.isServerDisturbed = false;
    });
  }
  const actor = stage.actors[Math.floor(draw.whom * stage.actors.length)];
  if (actor === undefined || stage.disturbed.has(actor)) return;
  stage.disturbed.add(actor);
  return fault.run(stage, actor, draw).finally(() => stage.disturbed.delete(actor));
}

function choose(weights: Weights, at: number): FaultName {
  const all = Object.entries(weights) as [FaultName, number][];
  let left = at * all.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [name, weight] of all) {
    left -= weight;
    if (left < 0) return name;
  }
  throw new Error("no fault to draw from");
}
