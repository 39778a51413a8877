// Faults that Stryker makes and that no test can notice, or need not: each with the reason. The command tells only of others.
import { byId } from "../explanation.js";

export const explained: ReadonlyMap<string, string> = byId([
  {
    ids: ["b246bc317b", "d861e3b2d0"],
    why: "It only differs when both deadlines leave the same time now, and then either is right.",
  },
  {
    ids: ["06c41eb51a"],
    why: "lose() does nothing for a lease that is not held, so the condition only spares a look at the clocks.",
  },
  {
    ids: ["00d3231e55"],
    why: "The number of a keepAlive is only compared with the last one, and stays a different one when it is counted downwards.",
  },
  {
    ids: ["6f9cf7b407"],
    why: "retry() ends with any value but undefined, and nobody reads which one that of a renewal is.",
  },
]);
