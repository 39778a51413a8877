import type { Socket } from "node:net";
import { realTimersFor, withRealTimers } from "./postgres-js.js";
import { ServerMessages } from "./server-messages.js";

// Captured when this module is loaded: one that a user's test replaces (Jest does) would keep a loss from being noticed.
const { queueMicrotask } = globalThis;

const TERMINATE = Uint8Array.of(0x58, 0, 0, 0, 4);
/** More than postgres.js takes between a message about the password and its answer. */
export const MICROTASKS_OF_LOGIN = 40;

/**
 * What postgres.js is given as its socket. It gets the data and may write. It never sees the socket itself, and never hears that it
 * closed or failed: it would connect again by itself, take listeners off, or write to a TLS socket whose handle is gone, which
 * ends the process (`write EBADF` in 160 of 600 tear-downs).
 */
export class Wire {
  /** Of use to the link alone, to keep the process alive or not. */
  readonly socket: Socket;
  readonly #onDeath: (error: Error) => void;
  readonly #messages = new ServerMessages();
  #onData: (chunk: Buffer) => void = () => undefined;
  #isOpen = true;
  #hasHungUp = false;

  /** `onDeath` is called once, unless `cut` was called before. */
  constructor(socket: Socket, onDeath: (error: Error) => void) {
    this.socket = socket;
    this.#onDeath = onDeath;
    const onClose = (): void => this.#dieSoon(new Error("the connection was closed"));
    socket.on("data", (chunk) => this.#receive(chunk));
    socket.on("error", (error) => this.#dieSoon(error));
    socket.on("end", onClose);
    socket.on("close", onClose);
    // It stands still since the server's answer about TLS.
    socket.resume();
    if (socket.destroyed) {
      onClose();
    }
  }

  // What postgres.js calls.

  on(event: string, listener: (chunk: Buffer) => void): this {
    if (event === "data") {
      this.#onData = listener;
    }
    return this;
  }

  /** Never "wait": it sends no more than 100 statements without an answer. */
  write(bytes: Uint8Array): true {
    if (this.#isOpen && !this.#hasHungUp) {
      this.socket.write(bytes);
    }
    return true;
  }

  /** The server did not prove that it knows the password. */
  destroy(): void {
    this.#dieSoon(new Error("the driver gave the connection up"));
  }

  // What the link calls.

  /** The last thing that is written. The server closes then. */
  hangUp(): void {
    if (this.#isOpen && !this.#hasHungUp) {
      this.#hasHungUp = true;
      this.socket.end(TERMINATE);
    }
  }

  cut(): void {
    this.#isOpen = false;
    this.socket.destroy();
  }

  /** postgres.js writes by setImmediate. A user's fake one would keep renewals from being sent (see postgres-js.ts). */
  #receive(chunk: Buffer): void {
    if (!this.#isOpen) {
      return;
    }
    try {
      const isLogin = !this.#messages.isLoginOver;
      this.#messages.read(chunk);
      withRealTimers(() => this.#onData(chunk));
      if (isLogin) {
        realTimersFor(MICROTASKS_OF_LOGIN);
      }
    } catch (error) {
      this.#die(error as Error);
    }
  }

  /** A microtask later: what the server or the driver said last may be on its way to who waits for it. */
  #dieSoon(error: Error): void {
    queueMicrotask(() => this.#die(error));
  }

  #die(error: Error): void {
    if (this.#isOpen) {
      this.cut();
      this.#onDeath(error);
    }
  }
}
