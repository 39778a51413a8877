// The lock libraries for Redis, as their documentation uses them. Retries without end, at each library's own pace: the others wait.
import type { Contender } from "./contender.js";

/** Of no influence on what is measured; long enough that a key that is held stays held. */
const TTL_MS = 600_000;

interface Client {
  get(key: string): Promise<unknown>;
  disconnect(): void;
}

interface Held {
  release(): Promise<unknown>;
}

interface RedlockClass {
  new (
    clients: readonly Client[],
    settings?: { retryCount: number },
  ): {
    acquire(keys: string[], ttlMs: number, settings?: { retryCount: number }): Promise<Held>;
    on(event: "error", listener: () => void): unknown;
  };
}

interface Universal {
  readonly IoredisAdapter: new (client: Client) => unknown;
  createLock(options: { adapter: unknown; key: string; ttl: number; retryAttempts: number }): {
    acquire(): Promise<unknown>;
    release(handle: unknown): Promise<unknown>;
  };
}

async function connect(port: number): Promise<Client> {
  // named by a variable: the packages of bench/ need not be there for a check of the types
  const name = "ioredis";
  const { Redis } = (await import(name)) as { Redis: new (port: number, host: string) => Client };
  const client = new Redis(port, "127.0.0.1");
  await client.get("warm-up");
  return client;
}

export async function openRedlock(port: number): Promise<Contender> {
  const name = "redlock";
  const { default: Redlock } = (await import(name)) as { default: RedlockClass };
  return overRedlock(Redlock, await connect(port));
}

export async function openSesamecare(port: number): Promise<Contender> {
  const name = "@sesamecare-oss/redlock";
  const { Redlock } = (await import(name)) as { Redlock: RedlockClass };
  return overRedlock(Redlock, await connect(port));
}

function overRedlock(Redlock: RedlockClass, client: Client): Contender {
  const redlock = new Redlock([client], { retryCount: -1 });
  redlock.on("error", () => {});
  return {
    acquire: (key) => redlock.acquire([key], TTL_MS),
    release: (lock) => (lock as Held).release(),
    tryOnce: (key) =>
      redlock.acquire([key], TTL_MS, { retryCount: 0 }).then(
        () => true,
        () => false,
      ),
    end: async () => client.disconnect(),
  };
}

export async function openUniversal(port: number): Promise<Contender> {
  const name = "redlock-universal";
  const { IoredisAdapter, createLock } = (await import(name)) as Universal;
  const client = await connect(port);
  const adapter = new IoredisAdapter(client);
  // A lock object knows one key: a worker keeps its own, as an application would.
  const locks = new Map<string, ReturnType<Universal["createLock"]>>();
  const lockOf = (key: string) => {
    let lock = locks.get(key);
    if (lock === undefined) {
      if (locks.size > 10_000) locks.clear();
      lock = createLock({ adapter, key, ttl: TTL_MS, retryAttempts: 1_000_000 });
      locks.set(key, lock);
    }
    return lock;
  };
  return {
    acquire: async (key) => {
      const lock = lockOf(key);
      return { lock, handle: await lock.acquire() };
    },
    release: (held) => {
      const { lock, handle } = held as { lock: ReturnType<typeof lockOf>; handle: unknown };
      return lock.release(handle);
    },
    end: async () => client.disconnect(),
  };
}
