// What every run-time and every way of loading the package must be able to do. Writes "used" at the end, and then ends by itself.
export async function use({ createLocker, LeaseholdError, WaitTimeoutError }) {
  const url = process.env.DATABASE_URL;
  const [locker, other] = [createLocker({ url }), createLocker({ url })];
  try {
    await locker.migrate();
    const fence = await locker.withLock("package", async (lock) => lock.fence);
    if (typeof fence !== "bigint") throw new Error("no fence");

    const lock = await locker.acquire("held");
    const refusal = await other.acquire("held", { waitMs: 100 }).catch((error) => error);
    if (!(refusal instanceof WaitTimeoutError && refusal instanceof LeaseholdError)) throw refusal;
    const next = other.acquire("held"); // woken by the release
    await lock.release();
    await (await next).release();
  } finally {
    await Promise.all([locker.close(), other.close()]);
  }
  console.log("used");
}
