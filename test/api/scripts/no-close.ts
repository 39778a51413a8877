// A script that forgets close(). It must end by itself, with code 0. `mode` says where it stops.
import { createLocker } from "../../../src/index.js";

const [url = "", mode = ""] = process.argv.slice(2);
const locker = createLocker({ url });
switch (mode) {
  case "unused":
    break;
  case "ready":
    await locker.ready();
    break;
  case "idle":
    await locker.withLock("script", () => undefined);
    break;
  case "unheard":
    await locker.withLock("script", () => undefined).catch(() => undefined);
    break;
  case "presence-off": {
    const stateless = createLocker({ url, presence: "off" });
    await stateless.withLock("script", () => undefined);
    break;
  }
  case "holding": {
    const lock = await locker.acquire("script", { ttlMs: 60_000 });
    lock.signal.addEventListener("abort", () => undefined);
    await lock.renew();
    break;
  }
  case "refused":
    await locker.withLock("script", () => undefined);
    await locker.tryAcquire("script", { ttlMs: -1 }).catch(() => undefined);
    break;
  default:
    throw new Error(`no mode ${mode}`);
}
process.stdout.write("end of script\n");
