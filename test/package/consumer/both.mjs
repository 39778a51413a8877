// A process in which one dependency imports the package, and another requires it.
import { subscribe } from "node:diagnostics_channel";
import { createRequire } from "node:module";
import * as imported from "leasehold";

const required = createRequire(import.meta.url)("leasehold");
if (required.createLocker === imported.createLocker) throw new Error("this is one copy: there is nothing to see");

const lockerIds = new Set();
subscribe("leasehold:acquire", ({ lockerId }) => lockerIds.add(lockerId));

const url = process.env.DATABASE_URL;
const lockers = [imported, required, imported, required].map(({ createLocker }) => createLocker({ url }));
try {
  await lockers[0].migrate();
  for (const locker of lockers) await locker.withLock("a", () => undefined);
  if (lockerIds.size !== 4) throw new Error(`4 lockers have the numbers ${[...lockerIds].join()}`);

  const lock = await lockers[0].acquire("b");
  const refusal = await lockers[1].acquire("b", { waitMs: 0 }).catch((error) => error);
  for (const { LeaseholdError, WaitTimeoutError, ClosedError } of [imported, required]) {
    if (!(refusal instanceof LeaseholdError && refusal instanceof WaitTimeoutError)) throw refusal;
    if (refusal instanceof ClosedError) throw new Error("an error is an instance of another's class");
  }
  await lock.release();

  const shared = imported.getLocker();
  lockers.push(shared);
  if (required.getLocker() !== shared) throw new Error("each copy has a shared locker of its own");
} finally {
  for (const locker of lockers) await locker.close();
}
console.log("used");
