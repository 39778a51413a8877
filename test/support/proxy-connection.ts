import { connect, type Socket } from "node:net";
import type { Certificate } from "./certificate.js";
import { poolerKind } from "./pooler.js";
import { FirstPackets, Messages, Statements } from "./proxy-messages.js";
import { Pipe } from "./proxy-pipe.js";
import { Side } from "./proxy-side.js";

export type Direction = "both" | "to-server" | "to-client";

/** What becomes of a statement that the client sends: it passes, waits in the proxy, or runs and its answer vanishes. */
export type Treatment = "pass" | "hold" | { readonly dropAnswer: "cut" | "blackhole"; done(): void };

export interface Statement {
  readonly sql: string;
  readonly connection: ProxyConnection;
}

export interface ConnectionRules {
  /**
   * With it the proxy speaks TLS itself, to the client and to the server, and knows statements there, too. Without it TLS
   * passes as it is: then only bytes can be held, cut and delayed.
   */
  readonly certificate: Certificate | undefined;
  delayMs(direction: "to-server" | "to-client"): number;
  /** What of the server's answers the client sees: a message with its type and length in front. Default: as it came. */
  readonly rewrite?: ((message: Buffer) => Buffer) | undefined;
  /** Asked once for each statement that is about to run. */
  treat(statement: Statement): Treatment;
}

/** The first byte of a client's TLS. A packet of Postgres's begins with its length, which is far less than 2^28. */
const TLS_HANDSHAKE = 0x16;

const ASKS_FOR_PORT = "pg_catalog.inet_client_port()";

interface Unit {
  treatment: Treatment;
  answered?: () => void;
}

/**
 * A client's connection through the proxy. What the client sends is counted in units: all up to a Sync, or a Query. The
 * server answers each with one ReadyForQuery, so that an answer is found by counting.
 */
export class ProxyConnection {
  readonly #client: Side;
  readonly #server: Side;
  readonly #toServer: Pipe;
  readonly #toClient: Pipe;
  readonly #rules: ConnectionRules;
  readonly #first = new FirstPackets();
  readonly #sent = new Messages();
  readonly #answers = new Messages();
  readonly #statements = new Statements();
  #parameters: Readonly<Record<string, string>> | undefined;
  #isOpaque = false;
  #awaitsByte = false;
  #current: Unit = { treatment: "pass" };
  readonly #unanswered: Unit[] = [{ treatment: "pass" }]; // the answer to the start-up
  #held: { unit: Unit; messages: Buffer[] } | undefined;
  #isClientGone = false;
  readonly closed: Promise<void>;

  constructor(client: Socket, target: { host: string; port: number }, rules: ConnectionRules) {
    this.#client = new Side(
      client,
      (chunk) => this.#fromClient(chunk),
      () => this.#clientEnds(),
    );
    this.#server = new Side(
      connect(target.port, target.host),
      (chunk) => this.#fromServer(chunk),
      () => this.#toClient.send("end"),
    );
    this.#rules = rules;
    this.#toServer = new Pipe(this.#server, () => rules.delayMs("to-server"));
    this.#toClient = new Pipe(this.#client, () => rules.delayMs("to-client"));
    client.on("close", () => this.#clientEnds());
    this.#server.socket.on("close", (hadError) => this.#toClient.send(hadError ? "reset" : "end"));
    const isClosed = ({ socket }: Side) => new Promise<void>((resolve) => socket.once("close", () => resolve()));
    this.closed = Promise.all([isClosed(this.#client), isClosed(this.#server)]).then(() => {});
  }

  /** Of the start-up packet; undefined until that has come. */
  get applicationName(): string | undefined {
    return this.#parameters?.application_name;
  }

  /** Both ends are reset. */
  cut(): void {
    this.#client.reset();
    this.#server.reset();
  }

  /** Only the client's end is reset. The server hears of it when it has run what a `hold` keeps back. */
  cutClient(): void {
    this.#client.reset();
  }

  /** Nothing passes any more, and neither end is told; `heal` lets pass what was sent meanwhile. */
  blackhole(direction: Direction = "both"): void {
    if (direction !== "to-client") this.#toServer.shut("blackhole");
    if (direction !== "to-server") this.#toClient.shut("blackhole");
  }

  heal(): void {
    this.#toServer.open("blackhole");
    this.#toClient.open("blackhole");
  }

  /** Sends on what a `hold` kept back; resolves when the server has answered it, or is gone. */
  async forwardHeld(): Promise<void> {
    const held = this.#held;
    if (!held) return;
    this.#held = undefined;
    const answered = new Promise<void>((resolve) => {
      held.unit.answered = resolve;
    });
    held.unit.treatment = "pass";
    for (const message of held.messages) this.#message(message);
    await Promise.race([answered, this.closed]);
    if (this.#isClientGone && !this.#held) this.#toServer.send("end");
  }

  #clientEnds(): void {
    if (this.#isClientGone) return;
    this.#isClientGone = true;
    // a statement on its way arrives even when its sender is gone: the server is not told before
    if (!this.#held) this.#toServer.send("end");
  }

  #fromClient(chunk: Buffer): void {
    if (this.#isOpaque) {
      this.#toServer.send(chunk);
      return;
    }
    if (this.#parameters) {
      for (const message of this.#sent.push(chunk)) this.#message(message);
      return;
    }
    if (chunk[0] === TLS_HANDSHAKE) {
      // sslnegotiation=direct: TLS without a question before it
      this.#isOpaque = true;
      this.#toServer.send(chunk);
      return;
    }
    const next = this.#first.push(chunk);
    if (!next) return;
    this.#toServer.send(next.bytes);
    if (next.packet.kind === "cancel") this.#isOpaque = true;
    if (next.packet.kind === "request") this.#awaitsByte = true;
    if (next.packet.kind === "startup") this.#parameters = next.packet.parameters;
    if (next.rest.length > 0) this.#fromClient(next.rest);
  }

  #message(message: Buffer): void {
    if (this.#held) {
      this.#held.messages.push(message);
      return;
    }
    const type = String.fromCharCode(message[0] ?? 0);
    const sql = this.#statements.runBy(message);
    if (sql !== undefined && this.#current.treatment === "pass" && !this.#current.answered) {
      this.#current.treatment = this.#rules.treat({ sql, connection: this });
      if (this.#current.treatment === "hold") {
        this.#held = { unit: this.#current, messages: [message] };
        return;
      }
    }
    if (this.#unanswered.at(-1) !== this.#current && type !== "p" && type !== "X") this.#unanswered.push(this.#current);
    this.#toServer.send(type === "Q" ? this.#asIfDirect(message) : message);
    if (type === "Q" || type === "S") this.#current = { treatment: "pass" };
  }

  /**
   * Whoever asks whether the server sees its port is told that it does: else Leasehold would wait for each answer before the next statement, and
   * what is in flight together would not be tested. A pooler behind us is not to be hidden.
   */
  #asIfDirect(message: Buffer): Buffer {
    const at = poolerKind() === undefined ? message.indexOf(ASKS_FOR_PORT) : -1;
    if (at < 0) return message;
    const changed = Buffer.from(message);
    changed.write(String(this.#client.socket.remotePort).padEnd(ASKS_FOR_PORT.length), at, "latin1");
    return changed;
  }

  #fromServer(chunk: Buffer): void {
    if (this.#isOpaque) {
      this.#toClient.send(chunk);
      return;
    }
    if (this.#awaitsByte) {
      this.#awaitsByte = false;
      const { certificate } = this.#rules;
      if (chunk[0] === "S".charCodeAt(0) && certificate) {
        this.#client.acceptTls(certificate);
        this.#server.beginTls();
      } else {
        // from here on it is encrypted: nothing to be seen
        this.#isOpaque = chunk[0] !== "N".charCodeAt(0);
      }
      this.#toClient.send(chunk.subarray(0, 1));
      if (chunk.length > 1) this.#fromServer(chunk.subarray(1));
      return;
    }
    for (const message of this.#answers.push(chunk)) {
      const unit = this.#unanswered[0];
      const isEnd = message[0] === "Z".charCodeAt(0);
      if (isEnd) this.#unanswered.shift();
      if (isEnd) unit?.answered?.();
      if (unit && typeof unit.treatment === "object") {
        if (!isEnd) continue;
        if (unit.treatment.dropAnswer === "cut") this.cut();
        for (const pipe of [this.#toServer, this.#toClient]) pipe.shut("an answer is missing"); // `heal` changes nothing
        unit.treatment.done();
        return;
      }
      this.#toClient.send(this.#rules.rewrite?.(message) ?? message);
    }
  }
}
