// A script that forgets close(). It must end by itself, with code 0. `mode` says where it stops.
import { once } from "node:events";
import { backoff, createLocker } from "../../../src/index.js";

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
  case "unheard": {
    // it will still be connecting when the test gives it up
    const patient = createLocker({ url, connectTimeoutMs: 90_000, requestTimeoutMs: 1_000 });
    await patient.withLock("script", () => undefined).catch(() => undefined);
    break;
  }
  case "awaiting": {
    // each call is awaited by itself, and nothing else keeps the process alive
    const patient = createLocker({ url, connectTimeoutMs: 500, requestTimeoutMs: 500 });
    const lock = await patient.acquire("script", { keepAlive: false });
    await patient.withLock("silence", () => undefined).catch(() => undefined);
    await ended("renew", lock.renew());
    await ended("acquire", patient.acquire("one"));
    await ended("tryAcquire", patient.tryAcquire("two"));
    await ended("acquire with waitMs", patient.acquire("script", { waitMs: 100 }));
    await ended("check", patient.check("script"));
    await ended("ping", patient.ping());
    await ended("sweep", patient.sweep());
    await ended("forceRelease", patient.forceRelease("script"));
    await ended("checkFence", patient.checkFence("resource", 1n));
    await ended("capabilities", patient.capabilities());
    await ended("debug", patient.debug());
    await ended("migrate", patient.migrate({ lockTimeoutMs: 100 }));
    await ended("release", lock.release());
    await ended("close", patient.close());
    break;
  }
  case "retrying":
    // nothing but the pauses goes on
    await locker.acquire("held", { retry: backoff.fixed(300, { retries: 3 }) }).catch((error: { code?: string }) => {
      process.stdout.write(`${error.code}\n`);
    });
    break;
  case "leading":
    // nothing goes on but the call: the timer of the signal keeps nothing alive
    await locker.lead("script", (_, signal) => once(signal, "abort"), { signal: AbortSignal.timeout(1_500) });
    process.stdout.write("has led\n");
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

async function ended(name: string, call: Promise<unknown>): Promise<void> {
  await call.catch(() => undefined);
  process.stdout.write(`${name} has ended\n`);
}
