// A TCP proxy in front of one port that can lose everything on its way, as a network does that drops packets: nobody is told, and
// what both ends sent meanwhile arrives when it heals.
import { connect, createServer, type Server, type Socket } from "node:net";
import { closed, opened } from "../support/resources.js";

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

export class Gate implements AsyncDisposable {
  readonly name: string;
  readonly port: number;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #isShut = false;

  private constructor(server: Server, name: string) {
    this.#server = server;
    this.name = `gate of ${name}`;
    const address = server.address();
    this.port = typeof address === "object" && address !== null ? address.port : 0;
    opened(this);
  }

  /** Passes on to this port of the loopback address. */
  static start(name: string, target: number): Promise<Gate> {
    return new Promise((resolve, reject) => {
      const server = createServer({ allowHalfOpen: true }, (near) => gate.#accept(near, target));
      let gate: Gate;
      server.once("error", reject).listen(0, "127.0.0.1", () => {
        gate = new Gate(server, name);
        resolve(gate);
      });
    });
  }

  /** From now on nothing passes. New connections are accepted, and nothing passes on them, either. */
  shut(): void {
    this.#isShut = true;
    for (const { near, far } of this.#pairs) {
      near.pause();
      far.pause();
    }
  }

  open(): void {
    this.#isShut = false;
    for (const { near, far } of this.#pairs) {
      near.resume();
      far.resume();
    }
  }

  async dispose(): Promise<void> {
    for (const { near, far } of this.#pairs) {
      near.destroy();
      far.destroy();
    }
    await new Promise((resolve) => this.#server.close(resolve));
    closed(this);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #accept(near: Socket, target: number): void {
    const far = connect({ port: target, host: "127.0.0.1", allowHalfOpen: true });
    const pair = { near, far };
    this.#pairs.add(pair);
    this.#join(near, far);
    this.#join(far, near);
    const forget = () => {
      if (near.destroyed && far.destroyed) this.#pairs.delete(pair);
    };
    near.once("close", forget);
    far.once("close", forget);
    if (this.#isShut) this.shut();
  }

  #join(from: Socket, to: Socket): void {
    from.setNoDelay(true);
    from.on("error", () => {});
    from.on("data", (chunk) => {
      if (!to.write(chunk)) from.pause();
    });
    to.on("drain", () => {
      if (!this.#isShut) from.resume();
    });
    from.on("end", () => to.end());
    from.on("close", (hadError) => {
      // a reset does not pass while the gate is shut, either
      if (hadError && !this.#isShut) to.destroy();
      else if (!to.writableEnded) to.end();
    });
  }
}
