import type { LockerOptions } from "../api/options.js";
import { createLocker } from "../locker/create-locker.js";
import type { Locker } from "../locker/locker.js";
import { findAddress } from "./address.js";
import type { Arguments } from "./arguments.js";

/** Runs the body with a locker, and closes the locker afterwards. */
export async function withLocker<Value>(
  args: Arguments,
  options: Omit<LockerOptions, "url" | "directUrl">,
  body: (locker: Locker) => Promise<Value>,
): Promise<Value> {
  const address = await findAddress(args);
  try {
    const locker = createLocker({ url: address.url, directUrl: address.directUrl, ...options });
    try {
      return await body(locker);
    } finally {
      await locker.close();
    }
  } finally {
    await address.close();
  }
}
