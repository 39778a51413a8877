import type { LeaseOptions, LockerOptions, WaitOptions } from "../api/options.js";
import { backend } from "./backend.js";
import { instances } from "./instances.js";
import type { Table } from "./kind.js";
import { choice, duration, json, text, truth } from "./kinds.js";
import { minHold } from "./min-hold.js";
import { retry } from "./retry.js";

const isFunction = "it is a function; give it to createLocker, beside what the configuration says";

const lease: Table<LeaseOptions> = {
  ttlMs: { kind: duration(100), about: "How long a grant lasts unless it is renewed. Default 30 s." },
  keepAlive: { kind: truth, about: "Whether held locks are renewed in the background. Default true." },
  renewEveryMs: { kind: duration(20), about: "How often they are, less than ttlMs. Default: a third of ttlMs." },
  minHoldMs: {
    kind: minHold,
    about: "A release before it keeps the key from everybody until then; a pair: a random time between. Default 0.",
  },
  maxHoldMs: {
    kind: duration(1, { infinite: true }),
    about: "The lock is lost after this long, renewed or not. Default Infinity.",
  },
  guardTimeoutMs: {
    kind: duration(100),
    about: "How long a guarded transaction may stay open. Default: ttlMs, at least 1 s.",
  },
  metadata: { kind: json, about: "JSON to store with the lease, up to 64 KiB. Never a secret. Default null." },
  owner: { kind: text(1, 256), about: "Who others see as the holder. Default: host name and process id." },
  onLost: { excluded: isFunction },
};

const wait: Table<WaitOptions> = {
  waitMs: {
    kind: duration(0, { infinite: true }),
    about: "How long to wait in the queue before WaitTimeoutError. Default 10 s, or Infinity beside retry.",
  },
  retry: { kind: retry, about: "Tries again after these delays in place of queueing. Default: the queue." },
  reentry: {
    kind: choice("throw", "wait"),
    about: "What a wait does for a key that the code it is called from holds already. Default wait.",
  },
};

/** What a configuration is: the options of a locker, and where an editor finds the schema of it. */
export interface Configuration extends LockerOptions {
  readonly $schema?: string | undefined;
}

/** Every option of a locker, and what a configuration can have for it. */
export const configOptions: Table<Configuration> = {
  $schema: { kind: text(0, 2_000), about: "Where an editor finds this schema. It has no effect." },
  ...backend,
  instances: {
    kind: instances,
    about:
      "Several databases by name: each key lives on one. What stands beside it is their default. Default: one database without a name.",
  },
  prefix: { kind: text(0, 511), about: "Text in front of every key. Default none." },
  ...lease,
  ...wait,
  statsPrefix: { excluded: isFunction },
  onAcquired: { excluded: isFunction },
  onError: { excluded: isFunction },
};
