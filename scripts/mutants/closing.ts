// Faults in what `close` ends and waits for, and in the bound that a call has for all that it asks.
import { type Mutant, one } from "./mutant.js";

const closes = "test/unit/close.test.ts";
const bounds = "test/unit/bounds.test.ts";

export const closing: readonly Mutant[] = [
  one(
    "close: stops at a lock that releases another",
    "src/hold/holdings.ts",
    [
      [
        '    for (const lease of [...this.#leases]) {\n      if (lease.phase === "held") {\n        yield',
        '    for (const lease of this.#leases) {\n      if (lease.phase === "held") {\n        yield',
      ],
    ],
    closes,
  ),
  one(
    "close: a lock that was released meanwhile is told that it is lost",
    "src/hold/holdings.ts",
    [['if (lease.phase === "held") {\n        yield', "if (lease.phase !== null) {\n        yield"]],
    closes,
  ),
  one(
    "close: does not wait for the last word of what is being explained",
    "src/acquire/acquires.ts",
    [
      ["    this.#cleanUp(); // before it is explained: `close` waits for the last word\n", ""],
      [
        'this.#ended("failed", null, error);\n    this.#reject(error);',
        'this.#ended("failed", null, error);\n    this.#cleanUp();\n    this.#reject(error);',
      ],
    ],
    closes,
  ),
  one(
    "close: the sweeper of a locker that was closed begins again",
    "src/runtime/activity.ts",
    [["this.#isResting && isUse && !this.#isStopped", "this.#isResting && isUse"]],
    closes,
  ),
  one(
    "close: lead hears of it at the end of its pause",
    "src/locker/lead.ts",
    [["joinSignals([stop, calls.closing])", "joinSignals([stop, calls.closed])"]],
    closes,
  ),
  one(
    "bound: adopt has one for connecting and one for asking",
    "src/acquire/adopt.ts",
    [["Math.max(1, clock.msUntil(deadline)),\n        );", "leftMs,\n        );"]],
    bounds,
  ),
  one(
    "bound: a reading call has one for connecting and one for asking",
    "src/locker/calls.ts",
    [["Math.max(1, clock.msUntil(deadline))", "this.#requestTimeoutMs"]],
    bounds,
  ),
  one(
    "bound: a look has one from its turn on",
    "src/acquire/looks.ts",
    [["Math.min(this.requestTimeoutMs, this.leftMs + this.requestTimeoutMs));\n  }", "this.requestTimeoutMs);\n  }"]],
    bounds,
  ),
  one(
    "bound: who was in the way is asked for after it",
    "src/acquire/looks.ts",
    [["Math.min(BLOCKER_MS, this.leftMs + this.requestTimeoutMs)", "BLOCKER_MS"]],
    bounds,
  ),
  one(
    "last word: of an adopted lock gives up at an error that passes",
    "src/claim/claim.ts",
    [["(this.#isGranted || this.wasHeld || this", "(this.#isGranted || this"]],
    "test/unit/adopt.test.ts",
  ),
  one(
    "set: over instances, what could not be released is told by the first",
    "src/locker/sets.ts",
    [["placeOf(wanted, lock.key).parts.init;", "(wanted.places[0] as NamedPlace).parts.init;"]],
    "test/unit/instances/sets.test.ts",
  ),
];
