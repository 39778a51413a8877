import { createLocker } from "../create-locker.js";
import type { Locker } from "../locker.js";
import type { LockerOptions } from "../options.js";
import type { Arguments } from "./arguments.js";
import { findPlace } from "./place.js";

/** Makes a locker for the length of the body. */
export async function withLocker<Value>(
  args: Arguments,
  options: Omit<LockerOptions, "url" | "directUrl">,
  body: (locker: Locker) => Promise<Value>,
): Promise<Value> {
  const place = await findPlace(args);
  try {
    const locker = createLocker({ url: place.url, directUrl: place.directUrl, ...options });
    try {
      return await body(locker);
    } finally {
      await locker.close();
    }
  } finally {
    await place.close();
  }
}
