import type { StoreFactory } from "../../api/store.js";
import { checkFunction, checkNames } from "../../errors/option-checks.js";
import { same } from "./assertions.js";
import { ends, grants } from "./grants.js";
import { handOvers } from "./hand-overs.js";
import { force, housekeeping, looks, marks } from "./others.js";
import { Process } from "./process.js";
import { noQueue, queues, wakes } from "./queues.js";
import { randomRun } from "./random-run.js";
import { randomShares } from "./random-shares.js";
import { renewals } from "./renewals.js";
import { adoptedShares, forcedShares, shares } from "./shares.js";
import { sharedWakes, sharesInLine } from "./shares-in-line.js";
import type { StoreSuite } from "./suite.js";
import type { Tests } from "./tests.js";

const canShare = (process: Process): boolean => process.has("shared-locks");

/** Each with whether a store has to pass it. */
const parts: readonly (readonly [name: string, tests: Tests, applies: (process: Process) => boolean])[] = [
  ["grants", grants, () => true],
  ["how grants end", ends, () => true],
  ["renewals", renewals, () => true],
  ["handing over", handOvers, ({ store }) => store.adopt !== undefined],
  ["looking", looks, () => true],
  ["the queue", queues, (process) => process.has("queue")],
  ["no queue", noQueue, (process) => !process.has("queue")],
  ["wake-ups", wakes, (process) => process.has("queue") && process.has("wake-ups")],
  ["shared keys", shares, canShare],
  ["shared keys and the queue", sharesInLine, (process) => canShare(process) && process.has("queue")],
  [
    "shared keys and wake-ups",
    sharedWakes,
    (process) => canShare(process) && process.has("queue") && process.has("wake-ups"),
  ],
  ["shared keys and handing over", adoptedShares, (process) => canShare(process) && process.store.adopt !== undefined],
  ["shared keys and force", forcedShares, (process) => canShare(process) && process.store.forceRelease !== undefined],
  ["force", force, ({ store }) => store.forceRelease !== undefined],
  ["marks of resources", marks, ({ store }) => store.checkFence !== undefined],
  ["housekeeping", housekeeping, () => true],
  ["at random", randomRun, () => true],
  ["shared keys at random", randomShares, canShare],
];

/**
 * Registers the tests that every store has to pass, with the runner's own `describe` and `it`. Each begins with a new and empty store, and
 * its name is a sentence of the port. What a store does not offer (see its `features`) is not tested. The slowest waits some 4 s, for which
 * mocha needs a `timeout`.
 *
 * ```ts
 * storeConformance({ describe, it, create: () => memoryStore() });
 * ```
 * @throws {InvalidOptionError} when a function is missing
 */
export function storeConformance(suite: StoreSuite): void {
  const { describe, it, create, destroy } = checkSuite(suite);
  for (const [part, tests, applies] of parts) {
    describe(part, () => {
      for (const [name, run] of Object.entries(tests)) {
        it(name, async () => {
          const factory = checkFunction<StoreFactory>("what create makes", await create());
          const processes: Process[] = [];
          const open = async (): Promise<Process> => {
            const process = new Process(factory);
            processes.push(process);
            return await process.open();
          };
          try {
            const [one, other] = [await open(), await open()];
            if (applies(one)) {
              await run({ one, other, open });
              const errors = processes.flatMap((process) => process.errors).map(String);
              same(errors, [], "nothing fails in the background (onError)");
            }
          } finally {
            // One that cannot be closed does not hide what the test has found.
            await Promise.allSettled(processes.map(async ({ store }) => await store.close()));
            await destroy?.();
          }
        });
      }
    });
  }
}

function checkSuite(suite: unknown): StoreSuite {
  const names = ["describe", "it", "create", "destroy"] as const;
  const given = checkNames("storeConformance's options", suite, names);
  for (const name of names) {
    if (name !== "destroy" || given[name] !== undefined) {
      checkFunction(name, given[name]);
    }
  }
  return given as unknown as StoreSuite;
}
