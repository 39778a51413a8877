// A backend that tells of every step of the protocol: a call, its way to the server, its answer.

import { resolveLockerOptions } from "../../src/config/resolve-options.js";
import type { LockerOptions } from "../../src/index.js";
import type { Locker } from "../../src/locker/locker.js";
import { StoreLocker } from "../../src/locker/store-locker.js";
import { PostgresBackend } from "../../src/postgres/postgres-backend.js";
import type { Backend } from "../../src/store/backend.js";

/** Calls that give a promise, and calls that are answered on the object that they are given. */
const promised = ["open", "acquire", "abandon"] as const;
const answered = ["attempt", "release", "renew"] as const;
export type Call = (typeof promised)[number] | (typeof answered)[number];

export interface Step {
  readonly call: Call;
  /** `asked`: not sent yet · `sent`: given to the connection · `answered`: the caller does not know yet */
  readonly at: "asked" | "sent" | "answered";
}

export function openHookedLocker(options: LockerOptions, onStep: (step: Step) => void): Locker {
  const resolved = resolveLockerOptions(options);
  return new StoreLocker(resolved, (events) => hook(new PostgresBackend(resolved, events), onStep));
}

interface Answered {
  onAnswer(answer: never): void;
  onFailure(error: never): void;
}

function hook(backend: Backend, onStep: (step: Step) => void): Backend {
  const ask = (call: Call): void => {
    onStep({ call, at: "asked" });
    // The batch goes out at the end of this turn's microtasks.
    setImmediate(() => onStep({ call, at: "sent" }));
  };
  return new Proxy(backend, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      const promise = promised.find((step) => step === name);
      if (promise !== undefined) {
        return async (...args: unknown[]) => {
          ask(promise);
          try {
            return await Reflect.apply(value, target, args);
          } finally {
            onStep({ call: promise, at: "answered" });
          }
        };
      }
      const call = answered.find((step) => step === name);
      if (call === undefined) return value.bind(target);
      return (item: Answered) => {
        ask(call);
        const told = new Proxy(item, {
          get(of, field) {
            const found: unknown = Reflect.get(of, field, of);
            if (typeof found !== "function") return found;
            return (...args: unknown[]) => {
              if (field !== "onSent") onStep({ call, at: "answered" });
              return Reflect.apply(found, of, args);
            };
          },
        });
        Reflect.apply(value, target, [told]);
      };
    },
  });
}
