// Stands between one link and its server, and does harm after so many bytes: within an answer, the login, the TLS handshake.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

export type Harm = "reset" | "fin" | "hole" | "garbage";
export type Upstream = { readonly port: number } | { readonly path: string };

export class Saboteur {
  /** How often a client has connected. */
  accepted = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Passes `bytes` of what the server says. On a unix socket `path`, or else on a free port. */
  static async start(upstream: Upstream, harm: Harm, bytes: number, path?: string): Promise<Saboteur> {
    const server = createServer();
    const saboteur = new Saboteur(server);
    server.on("connection", (client) => {
      saboteur.accepted += 1;
      saboteur.#between(client, connect(upstream), harm, bytes);
    });
    server.listen(path === undefined ? { port: 0, host: "127.0.0.1" } : { path });
    await once(server, "listening");
    return saboteur;
  }

  /** Says something else than Postgres does to whoever connects. */
  static async impostor(says: readonly Uint8Array[], path?: string): Promise<Saboteur> {
    const server = createServer();
    const saboteur = new Saboteur(server);
    server.on("connection", (client) => {
      saboteur.accepted += 1;
      saboteur.#know(client);
      const lines = [...says];
      client.on("data", () => {
        const line = lines.shift();
        if (line === undefined) client.end();
        else client.write(line);
      });
    });
    server.listen(path === undefined ? { port: 0, host: "127.0.0.1" } : { path });
    await once(server, "listening");
    return saboteur;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #between(client: Socket, server: Socket, harm: Harm, bytes: number): void {
    this.#know(client);
    this.#know(server);
    client.on("close", () => server.destroy());
    server.on("close", () => client.destroy());
    client.on("data", (chunk) => server.write(chunk));
    let left = bytes;
    server.on("data", (chunk: Buffer) => {
      if (left < 0) return;
      client.write(chunk.subarray(0, left));
      left -= chunk.length;
      if (left >= 0) return;
      if (harm === "fin") client.end();
      else if (harm === "garbage") client.write(Buffer.alloc(64, "garbage"));
      else if (harm === "reset" && client.remoteAddress !== undefined) client.resetAndDestroy();
      else if (harm === "reset") client.destroy();
    });
  }

  #know(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
  }
}

const message = (type: string, ...body: readonly (number | string)[]): Buffer => {
  const bytes = Buffer.concat(
    body.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : Buffer.from([0, 0, 0, part]))),
  );
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length + 4);
  return Buffer.concat([Buffer.from(type), length, bytes]);
};

const ready = Buffer.concat([message("R", 0), message("Z", "I")]);
const copy = message("G", "\0\0\0");
const sasl = message("R", 10, "SCRAM-SHA-256\0\0");

/** What impostors say, an answer for each thing that they are sent. */
export const impostures: Readonly<Record<string, readonly Uint8Array[]>> = {
  "another protocol": [Buffer.from("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")],
  "more than one byte about TLS": [Buffer.from("SR")],
  "an error about TLS": [Buffer.from("Esorry, too many clients already\n\0")],
  "no TLS": [Buffer.from("N"), message("R", 0)],
  "TLS, and none follows": [Buffer.from("S"), Buffer.from("hello")],
  "SCRAM without salt": [sasl, message("R", 11, "r=x")],
  "SCRAM without a number": [sasl, message("R", 11, "r=x,s=c2FsdA==,i=many")],
  "SCRAM without iterations": [sasl, message("R", 11, "r=x,s=c2FsdA==,i=0")],
  "SCRAM that takes for ever": [sasl, message("R", 11, "r=x,s=c2FsdA==,i=2147483647")],
  "a signature of somebody else": [sasl, message("R", 11, "r=x,s=c2FsdA==,i=1"), message("R", 12, "v=nobody")],
  Kerberos: [message("R", 7)],
  "nothing to authenticate with": [message("R")],
  "ready without a key, then data without a statement": [ready, message("D", "\0\x01")],
  "SCRAM after the login": [ready, message("R", 11, "r=x")],
  "authentication of no kind after the login": [ready, message("R")],
  "a copy that nobody asked for": [ready, Buffer.concat([copy, message("d", "data")])],
  "a copy that fails": [ready, Buffer.concat([copy, message("E", "SERROR\0VERROR\0C57014\0\0"), message("Z", "I")])],
  "a notification without an end": [ready, message("A", 1, "leasehold")],
  "a column's name without an end": [ready, message("T", "\0\x01name")],
  "a message shorter than its length": [ready, Buffer.from("Z\0\0\0\0")],
};
