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
  {
    ids: ["ced5d846b0", "0a21b4c8e3"],
    why: "An AbortSignal fires once, so a listener that stays is never called again.",
  },
  {
    ids: ["a667c58e16"],
    why: "An exclusive grant and a share never have one fence: each grant of a key has its own, and an adopted lock keeps its mode with it.",
  },
  {
    ids: ["33987b79ab"],
    why: "Where grants exclude each other #enter has ended any other exclusive lease of the key, so the look at all leases finds none.",
  },
  {
    ids: ["ce44886e96"],
    why: "When maxHoldMs and ttlMs are equal, either is a true name for the time that was too short: both have to be raised.",
  },
  {
    ids: ["642a94e16f"],
    why: "An attempt of retry() with any value but undefined ends it, and nobody reads the value.",
  },
  {
    ids: ["5365eec98c"],
    why: "At exactly NEAR_MS the shared timer is set to 0 ms, and gives the lease its own timer when it fires.",
  },
  {
    ids: ["4687a01611"],
    why: "drop() does nothing without a timer, so the condition only spares a call of each release.",
  },
  {
    ids: ["3c8c9f47a7"],
    why: "An exclusive lease is in no set of shares, so the condition only spares a look-up.",
  },
]);
