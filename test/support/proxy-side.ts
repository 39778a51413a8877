import type { Socket } from "node:net";
import { connect, TLSSocket } from "node:tls";
import type { Certificate } from "./certificate.js";

/** One end of a connection through the proxy: a socket, and what is spoken over it, plainly or in TLS. */
export class Side {
  readonly socket: Socket;
  readonly #onData: (chunk: Buffer) => void;
  readonly #onEnd: () => void;
  #spoken: Socket;
  #certificate: Certificate | undefined;

  constructor(socket: Socket, onData: (chunk: Buffer) => void, onEnd: () => void) {
    this.socket = socket.setNoDelay(true).on("error", () => {});
    this.#onData = onData;
    this.#onEnd = onEnd;
    this.#spoken = socket;
    socket.on("data", this.#receive).on("end", onEnd);
  }

  /** What comes from now on is TLS: the other end begins with it when it has our answer to its question for it. */
  acceptTls(certificate: Certificate): void {
    this.#certificate = certificate;
  }

  /** What goes out from now on is TLS. */
  beginTls(): void {
    this.#speak(() => connect({ socket: this.socket, rejectUnauthorized: false }));
  }

  get isWritable(): boolean {
    return this.#spoken.writable;
  }

  write(chunk: Buffer): void {
    this.#spoken.write(chunk);
  }

  end(): void {
    this.#spoken.end();
  }

  /** Closes the socket at once, if possible with a reset. In TLS, too, nothing is said before. */
  reset(): void {
    const { socket } = this;
    if (socket.destroyed) return;
    // a reset first waits for all that is to be written, and after an end Node loses the handle: EINVAL, and never a close
    const mustNotWait =
      socket.connecting || [socket, this.#spoken].some((one) => one.writableEnded || one.writableLength > 0);
    if (mustNotWait) socket.destroy();
    else socket.resetAndDestroy();
  }

  readonly #receive = (chunk: Buffer): void => {
    const certificate = this.#certificate;
    if (!certificate) {
      this.#onData(chunk);
      return;
    }
    this.#speak(() => {
      this.socket.pause();
      this.socket.unshift(chunk);
      return new TLSSocket(this.socket, { isServer: true, ...certificate });
    });
  };

  #speak(makeTls: () => TLSSocket): void {
    this.socket.off("data", this.#receive).off("end", this.#onEnd);
    this.#spoken = makeTls()
      .on("error", () => {})
      .on("data", this.#onData)
      .on("end", this.#onEnd);
  }
}
