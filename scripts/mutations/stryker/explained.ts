// Faults that Stryker makes and that no test can notice, or need not: each with the reason. The command tells only of others.
import { byId } from "../explanation.js";

export const explained: ReadonlyMap<string, string> = byId([
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
]);
