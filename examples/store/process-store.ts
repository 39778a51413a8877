import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { UnavailableError } from "leasehold";
import type { Store, StoreFactory } from "leasehold/store";
import type { Call } from "./locks.js";

/** What comes back: the answer to a call, or that somebody of this store who waits for a key may be next. */
type Message = { readonly id: number; readonly answer: unknown } | { readonly store: number; readonly wake: string };

const features: Store["features"] = {
  queue: { isOn: true, why: "waiters are served in the order in which they queued" },
  "wake-ups": { isOn: true, why: "the process with the locks sends a message to whoever is next" },
  durable: { isOn: false, why: "the locks are in the memory of a process" },
};

/** Locks that a process of their own keeps, for all lockers of the one that started it. */
export class LockProcess {
  readonly #child: ChildProcess;
  readonly #calls = new Map<number, { resolve(answer: unknown): void; reject(error: unknown): void }>();
  readonly #wakes: ((key: string) => void)[] = [];
  #lastId = 0;

  /** `program`: where locks.ts is, or what it was compiled to. */
  constructor(program: URL = new URL("./locks.ts", import.meta.url)) {
    this.#child = fork(fileURLToPath(program), { serialization: "advanced" }); // which takes a bigint as it is
    this.#child.unref(); // a locker that is not used keeps nobody alive
    this.#child.channel?.unref();
    this.#child.on("message", (message: Message) => this.#onMessage(message));
    this.#child.on("disconnect", () => this.#onEnd());
    this.#child.on("error", () => this.#onEnd());
  }

  readonly store: StoreFactory = ({ onWake }) => {
    const store = this.#wakes.push(onWake) - 1;
    const ask = <Answer>(method: Call["method"], request?: unknown): Promise<Answer> =>
      new Promise((resolve, reject) => {
        if (this.#hasEnded) {
          reject(new UnavailableError({ outcome: "not-sent", message: "The process with the locks has ended." }));
          return;
        }
        const id = ++this.#lastId;
        this.#calls.set(id, { resolve: resolve as (answer: unknown) => void, reject });
        this.#child.send({ id, store, method, request } satisfies Call, (error) => error && this.#onEnd());
      });
    return {
      name: "process",
      features,
      open: () => ask("open"),
      acquire: (request) => ask("acquire", request),
      release: (request) => ask("release", request),
      abandon: (request) => ask("abandon", request),
      renew: (request) => ask("renew", request),
      check: (key) => ask("check", key),
      ping: async () => {
        const askedAtMs = performance.now();
        await ask("open");
        return { ms: performance.now() - askedAtMs, serverVersion: `process ${this.#child.pid}` };
      },
      close: async () => undefined,
    };
  };

  /** Ends the process, and all locks with it. */
  async stop(): Promise<void> {
    if (!this.#hasEnded) {
      const exit = once(this.#child, "exit");
      this.#child.ref();
      this.#child.kill();
      await exit;
    }
  }

  get #hasEnded(): boolean {
    const { connected, exitCode, signalCode } = this.#child;
    return !connected || exitCode !== null || signalCode !== null;
  }

  #onMessage(message: Message): void {
    if ("wake" in message) {
      this.#wakes[message.store]?.(message.wake);
    } else {
      this.#calls.get(message.id)?.resolve(message.answer);
      this.#calls.delete(message.id);
    }
  }

  #onEnd(): void {
    const message = "The process with the locks has ended. The request may or may not have been carried out.";
    for (const { reject } of this.#calls.values()) reject(new UnavailableError({ outcome: "unknown", message }));
    this.#calls.clear();
  }
}
