// The tests that every store has to pass, tested themselves: each fault that a store can have makes one of them fail, by name.
import { AssertionError } from "node:assert";
import { describe, expect, test } from "vitest";
import { InvalidOptionError } from "../../src/index.js";
import { memoryStore, type Store, type StoreFactory } from "../../src/store.js";
import { type StoreSuite, storeConformance } from "../../src/testing.js";
import { over } from "./broken/broken-store.js";
import { ends } from "./broken/ends.js";
import { grants } from "./broken/grants.js";
import { handOvers } from "./broken/hand-overs.js";
import { others } from "./broken/others.js";
import { queues } from "./broken/queues.js";
import { renewals } from "./broken/renewals.js";
import { shares } from "./broken/shares.js";

/** The tests of the suite over a store, by name, as a runner would be given them. */
function testsOver(create: () => StoreFactory, destroy?: () => void): Map<string, () => Promise<void>> {
  const tests = new Map<string, () => Promise<void>>();
  const it: StoreSuite["it"] = (name, body) => {
    if (tests.has(name)) throw new Error(`two tests have the name ${name}`);
    tests.set(name, body);
  };
  storeConformance({ describe: (_, body) => body(), it, create, destroy });
  return tests;
}

const names = [...testsOver(() => memoryStore()).keys()];
const brokenStores = [...grants, ...ends, ...renewals, ...handOvers, ...others, ...queues, ...shares];

// At once, for a test that waits for what never comes takes its time.
const outcomes = await Promise.allSettled(
  brokenStores.map(async ({ fails, create }) => {
    const run = testsOver(create).get(fails);
    if (run === undefined) throw new Error(`the suite has no test ${fails}`);
    await run();
  }),
);

describe("a store that is broken fails the test of what it breaks", () => {
  test.each(brokenStores.map((store, index) => ({ ...store, outcome: outcomes[index] })))("$fault", ({ outcome }) => {
    const failure = outcome?.status === "rejected" ? outcome.reason : undefined;
    expect(failure).toBeInstanceOf(AssertionError);
  });

  test("and each test of the suite is failed by one of them", () => {
    const failed = new Set(brokenStores.map(({ fails }) => fails));
    expect(names.filter((name) => !failed.has(name))).toEqual([]);
  });
});

describe("storeConformance", () => {
  test("closes every store and ends what create began, whether the test passes or not", async () => {
    const log: string[] = [];
    const make = (fails: boolean) => (): StoreFactory => {
      log.push("create");
      const factory = memoryStore();
      return (context) => {
        const store: Store = factory(context);
        return Object.assign(store, {
          ...(fails && { release: async () => ({ outcome: "gone", reason: null }) }),
          close: async () => {
            log.push("close");
            if (fails) throw new Error("it cannot be closed");
          },
        });
      };
    };
    const destroy = () => void log.push("destroy");
    const name = "a release frees the key at once";
    await testsOver(make(false), destroy).get(name)?.();
    await expect(testsOver(make(true), destroy).get(name)?.()).rejects.toBeInstanceOf(AssertionError);
    const once = ["create", "close", "close", "destroy"];
    expect(log).toEqual([...once, ...once]);
  });

  test("an error in the background fails the test in which it came", async () => {
    const create = (): StoreFactory => {
      const factory = memoryStore();
      return (context) => {
        context.onError(new InvalidOptionError({ option: "a", expected: "b", received: "c" }));
        return factory(context);
      };
    };
    await expect(testsOver(create).get(names[0] ?? "")?.()).rejects.toThrow("nothing fails in the background");
  });

  test("a store that throws when it is closed does not hide what the test has found", async () => {
    const close = (): never => {
      throw new Error("it cannot be closed");
    };
    const create = over(() => ({ close, release: async () => ({ outcome: "gone", reason: null }) }));
    const run = testsOver(create).get("a release frees the key at once");
    await expect(run?.()).rejects.toThrow("a release in time is answered so");
  });

  test.each([
    ["create makes no factory", () => undefined, "what create makes: expected a function, got undefined"],
    ["its factory makes no store", () => () => undefined, "open() is missing, got undefined"],
    ["it answers nothing", over(() => ({ acquire: async () => undefined }) as never), "acquire() answers an object"],
    ["its ping answers nothing", over(() => ({ ping: () => undefined }) as never), "ping() answers an object"],
    ["it has no features", over(() => ({ features: undefined }) as never), "features is an object"],
  ])("says so when %s", async (_, create, message) => {
    const runs = [...testsOver(create as () => StoreFactory).entries()].filter(([name]) =>
      /^(a free key is granted|ping is|a feature says)/.test(name),
    );
    const outcomes = await Promise.allSettled(runs.map(([, run]) => run()));
    const messages = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [String(outcome.reason)] : []));
    expect(messages.length).toBeGreaterThan(0);
    for (const text of messages) expect(text).toContain(message);
  });

  test.each(["describe", "it", "create", "destroy"])("%s has to be a function", (name) => {
    const suite = { describe: () => undefined, it: () => undefined, create: () => memoryStore() };
    expect(() => storeConformance({ ...suite, [name]: 1 } as unknown as StoreSuite)).toThrow(
      new RegExp(`^${name}: expected a function`),
    );
  });
});
