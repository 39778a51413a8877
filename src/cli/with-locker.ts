import type { LockerOptions } from "../api/options.js";
import { createLocker } from "../locker/create-locker.js";
import type { Locker } from "../locker/locker.js";
import { findAddress } from "./address.js";
import type { Arguments } from "./arguments.js";

/** Runs the body with a locker, and closes the locker afterwards. `key`: the one that it is about, which chooses the instance. */
export async function withLocker<Value>(
  args: Arguments,
  options: Omit<LockerOptions, "url" | "directUrl" | "connection">,
  body: (locker: Locker) => Promise<Value>,
  key?: string,
): Promise<Value> {
  const address = await findAddress(args, key);
  const { url, directUrl, connection } = address;
  try {
    const locker = createLocker({ url, directUrl, connection, ...options });
    try {
      return await body(locker);
    } finally {
      await locker.close();
    }
  } finally {
    await address.close();
  }
}
