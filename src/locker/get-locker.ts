import { checkFunction } from "../errors/option-checks.js";
import { processWide } from "../runtime/process-wide.js";
import { VERSION } from "../runtime/version.js";
import { createLocker } from "./create-locker.js";
import type { Locker } from "./locker.js";
import { isClosing } from "./store-locker.js";

/** By major version: the lockers of two of them may differ in what they can do. */
const shared = processWide<{ locker: Locker | null }>(`locker.${VERSION.split(".", 1)[0]}`, () => ({ locker: null }));

/**
 * The locker that this process shares: over hot reloads, over the ESM and the CommonJS copy of this package, over two installed copies of
 * it. The first call makes it with `create`; later calls return the same one until it is closed. Default: `createLocker()`, which
 * finds its address in the environment.
 *
 * ```ts
 * export const locker = getLocker(() => createLocker({ prefix: "shop:" }));
 * ```
 * @throws what `create` throws
 */
export function getLocker(create: () => Locker = createLocker): Locker {
  checkFunction("create", create);
  const { locker } = shared;
  if (locker !== null && Reflect.get(locker, isClosing) !== true) {
    return locker;
  }
  const made = create();
  shared.locker = made;
  return made;
}
