// A process that holds locks (lock-worker.ts), with the types of what it can be asked.
import type { AcquireOptions, AdoptOptions, DetachedLock, TryOptions } from "../../src/index.js";
import { startWorker, type WorkerProcess } from "./child.js";
import type { TestDatabase } from "./database.js";
import type { Failure, Granted, LockState, LockWorkerArgs, On } from "./lock-worker.js";

export type { Failure, Granted, LockState, On };

export interface WentOn {
  readonly state: LockState;
  readonly renewal: Failure | null;
  readonly release: Failure | null;
  readonly written: number;
}

export class LockProcess implements AsyncDisposable {
  readonly worker: WorkerProcess;

  constructor(worker: WorkerProcess) {
    this.worker = worker;
  }

  acquire(key: string, options?: AcquireOptions, locker?: string): Promise<Granted> {
    return this.worker.request("acquire", { key, options, locker });
  }

  tryAcquire(key: string, options?: TryOptions, locker?: string): Promise<Granted | null> {
    return this.worker.request("tryAcquire", { key, options, locker });
  }

  wait(keys: readonly string[], options?: AcquireOptions): Promise<void> {
    return this.worker.request("wait", { keys, options });
  }

  state(key: string): Promise<LockState> {
    return this.worker.request("state", { key });
  }

  goOn(key: string): Promise<WentOn> {
    return this.worker.request("goOn", { key });
  }

  release(key: string): Promise<void> {
    return this.worker.request("release", { key });
  }

  detach(key: string): Promise<DetachedLock> {
    return this.worker.request("detach", { key });
  }

  adopt(detached: DetachedLock, options?: AdoptOptions): Promise<Granted> {
    return this.worker.request("adopt", { detached, options });
  }

  write(key: string): Promise<number> {
    return this.worker.request("write", { key });
  }

  /** Releases all it holds and ends. */
  async close(): Promise<void> {
    await this.worker.request("close");
    await this.worker.dispose();
  }

  /** For a process that ended as it should: it was closed, or the test killed it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.worker.dispose();
  }
}

export async function openLockProcess(
  database: Pick<TestDatabase, "url">,
  args: Omit<LockWorkerArgs, "url"> & { readonly url?: string } = {},
): Promise<LockProcess> {
  const worker = await startWorker("test/support/lock-worker.ts", { url: database.url, ...args });
  return new LockProcess(worker);
}
