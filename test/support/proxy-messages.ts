// The framing of Postgres's protocol, as far as a proxy must see it.

/** Cuts a stream of typed messages (type, length, body) into whole ones. */
export class Messages {
  #rest: Buffer = Buffer.alloc(0);

  /** The messages that are complete with this chunk, each with its type and length in front. */
  push(chunk: Buffer): Buffer[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const whole: Buffer[] = [];
    let at = 0;
    while (this.#rest.length - at >= 5) {
      const end = at + 1 + this.#rest.readInt32BE(at + 1);
      if (end > this.#rest.length) break;
      whole.push(this.#rest.subarray(at, end));
      at = end;
    }
    this.#rest = this.#rest.subarray(at);
    return whole;
  }
}

export type FirstPacket =
  | { readonly kind: "startup"; readonly parameters: Readonly<Record<string, string>> }
  | { readonly kind: "request" } // for TLS or GSSAPI: the server answers with one byte, then the client begins again
  | { readonly kind: "cancel" };

/** Cuts what comes before the typed messages: packets with a length and a code. */
export class FirstPackets {
  #rest: Buffer = Buffer.alloc(0);

  /** The next complete packet. After a `startup` the `rest` belongs to `Messages`. */
  push(chunk: Buffer): { packet: FirstPacket; bytes: Buffer; rest: Buffer } | undefined {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    if (this.#rest.length < 8) return undefined;
    const length = this.#rest.readInt32BE(0);
    if (this.#rest.length < length) return undefined;
    const bytes = this.#rest.subarray(0, length);
    const rest = this.#rest.subarray(length);
    this.#rest = Buffer.alloc(0);
    return { packet: readFirst(bytes), bytes, rest };
  }
}

function readFirst(bytes: Buffer): FirstPacket {
  const code = bytes.readInt32BE(4);
  if (code === 80877102) return { kind: "cancel" };
  if (code === 80877103 || code === 80877104) return { kind: "request" };
  const words = bytes.toString("utf8", 8).split("\0");
  const parameters: Record<string, string> = {};
  for (let i = 0; i + 1 < words.length && words[i]; i += 2) parameters[words[i] ?? ""] = words[i + 1] ?? "";
  return { kind: "startup", parameters };
}

/** The texts of the statements that a client has prepared on one connection. */
export class Statements {
  readonly #prepared = new Map<string, string>();

  /** The SQL that this message makes the server run: that of a Query, or that which a Bind names. */
  runBy(message: Buffer): string | undefined {
    const type = String.fromCharCode(message[0] ?? 0);
    if (type !== "P" && type !== "B" && type !== "Q") return undefined;
    const first = readString(message, 5);
    if (type === "Q") return first.text;
    const second = readString(message, first.next);
    if (type === "B") return this.#prepared.get(second.text) ?? "";
    this.#prepared.set(first.text, second.text);
    return undefined;
  }
}

function readString(message: Buffer, from: number): { text: string; next: number } {
  const end = message.indexOf(0, from);
  return { text: message.toString("utf8", from, end), next: end + 1 };
}
