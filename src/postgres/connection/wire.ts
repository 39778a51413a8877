import type { Socket } from "node:net";
import { soon } from "../../runtime/soon.js";
import { realTimersFor, withRealTimers } from "./postgres-js.js";
import { ServerMessages } from "./server-messages.js";

const TERMINATE = Uint8Array.of(0x58, 0, 0, 0, 4);
/** More than postgres.js needs between a message about the password and its answer. */
export const MICROTASKS_OF_LOGIN = 40;

/**
 * What postgres.js gets as its socket (decision 23). It receives the data and can write. It never sees the real socket,
 * and is never told that it closed or failed: it would reconnect by itself, remove listeners, or write to a TLS socket
 * whose handle is gone, which ends the process (`write EBADF` in 160 of 600 tear-downs).
 */
export class Wire {
  /** Only for the link, to keep the process alive or not. */
  readonly socket: Socket;
  readonly #onDeath: (error: Error) => void;
  readonly #messages = new ServerMessages();
  #onData: (chunk: Buffer) => void = () => undefined;
  #isOpen = true;
  #hasHungUp = false;

  /** `onDeath` is called once, unless `cut` is called before. */
  constructor(socket: Socket, onDeath: (error: Error) => void) {
    this.socket = socket;
    this.#onDeath = onDeath;
    const onClose = (): void => this.#dieSoon(new Error("the connection was closed"));
    socket.on("data", (chunk) => this.#receive(chunk));
    socket.on("error", (error) => this.#dieSoon(error));
    socket.on("end", onClose);
    socket.on("close", onClose);
    // It has been paused since the server's answer about TLS.
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

  /** Never asks to wait for "drain": postgres.js sends at most 100 statements without an answer. */
  write(bytes: Uint8Array): true {
    if (this.#isOpen && !this.#hasHungUp) {
      this.socket.write(bytes);
    }
    return true;
  }

  /** Called when the server does not prove that it knows the password. */
  destroy(): void {
    this.#dieSoon(new Error("the driver gave the connection up"));
  }

  // What the link calls.

  /** Sends Terminate, the last message. Then the server closes the connection. */
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

  /** postgres.js writes with setImmediate. A user's fake one would keep renewals from being sent (see postgres-js.ts). */
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

  /** Dies a microtask later: the last message of the server or the driver may still be on its way to its waiter. */
  #dieSoon(error: Error): void {
    soon(() => this.#die(error));
  }

  #die(error: Error): void {
    if (this.#isOpen) {
      this.cut();
      this.#onDeath(error);
    }
  }
}
