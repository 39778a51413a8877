// Lockers for tests: `await using locker = openLocker(database)`, which closes it.
import { createLocker, type Locker, type LockerOptions } from "../../src/index.js";
import type { TestDatabase } from "./database.js";
import { aroundPooler } from "./pooler.js";

export function openLocker(database: TestDatabase | string, options: LockerOptions = {}): Locker {
  const url = typeof database === "string" ? database : database.url;
  // the end of a test's fault is awaited by the test itself, not by the default of 60 s
  return createLocker({ url, ...aroundPooler(url), waitMs: 30_000, ...options });
}
