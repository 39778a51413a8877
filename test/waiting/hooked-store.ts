// A store that tells of every step of the protocol: a call, its way to the server, its answer.
import type { LockerOptions } from "../../src/index.js";
import { Locker } from "../../src/locker.js";
import { PostgresStore } from "../../src/postgres/postgres-store.js";
import { resolveLockerOptions } from "../../src/resolve-options.js";
import type { Store } from "../../src/store.js";

const steps = ["open", "acquire", "release", "abandon", "renew"] as const;
export type Call = (typeof steps)[number];

export interface Step {
  readonly call: Call;
  /** `asked`: not sent yet · `sent`: given to the connection · `answered`: the caller does not know yet */
  readonly at: "asked" | "sent" | "answered";
}

export function openHookedLocker(options: LockerOptions, onStep: (step: Step) => void): Locker {
  const resolved = resolveLockerOptions(options);
  return new Locker(resolved, (events) => hook(new PostgresStore(resolved, events), onStep));
}

function hook(store: Store, onStep: (step: Step) => void): Store {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      const call = steps.find((step) => step === name);
      if (call === undefined) return value.bind(target);
      return async (...args: unknown[]) => {
        onStep({ call, at: "asked" });
        const answer: Promise<unknown> = Reflect.apply(value, target, args);
        // The batch goes out at the end of this turn's microtasks.
        setImmediate(() => onStep({ call, at: "sent" }));
        try {
          return await answer;
        } finally {
          onStep({ call, at: "answered" });
        }
      };
    },
  });
}
