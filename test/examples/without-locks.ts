// What an example gets in place of `leasehold` when a test takes its locks away: everything works, but for what BREAKS names.
import { randomUUID } from "node:crypto";
import { createLocker as createReal, type Locker, type LockerOptions } from "../../src/index.js";

export * from "../../src/index.js";

export function createLocker(options: LockerOptions = {}): Locker {
  if (process.env.BREAKS === "minimum hold") return withoutMinimumHold(createReal(options));
  // Each locker has keys of its own: all locks are granted, and nobody waits for anybody.
  return createReal({ ...options, prefix: `${randomUUID()}:` });
}

function withoutMinimumHold(locker: Locker): Locker {
  const tryWithLock: Locker["tryWithLock"] = (key, body, { minHoldMs, ...options } = {}) =>
    locker.tryWithLock(key, body, options);
  return new Proxy(locker, {
    get(target, name) {
      if (name === "tryWithLock") return tryWithLock;
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}
