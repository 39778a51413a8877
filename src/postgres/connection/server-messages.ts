import { createHash } from "node:crypto";

const codes = (types: string): ReadonlySet<number> => new Set([...types].map((type) => type.charCodeAt(0)));

/** Until it is ready: authentication, error, notice, protocol version, parameters, key of the backend, ready. */
const DURING_LOGIN = codes("RENvSKZ");
/** Afterwards, to one who never copies and has no cursor. */
const AFTER_LOGIN = codes("12ACDEINSTZnt");
const AUTHENTICATION = 0x52;
const READY = 0x5a;
const NOTIFICATION = 0x41;
const ROW_DESCRIPTION = 0x54;
const HEADER = 5;
const MAX_LENGTH = 65_536;
/** The ways to log in that postgres.js knows, by their number: done, password, MD5, SCRAM in its three steps. */
const AUTHENTICATIONS: readonly number[] = [0, 3, 5, 10, 11, 12];
const MD5 = 5;
const SCRAM_CONTINUE = 11;
/** Deriving the key blocks the process for about 0.4 s per million. Postgres's default is 4,096. */
const MAX_ITERATIONS = 10_000_000;
/** What follows the name of a column. */
const COLUMN_BYTES = 18;

/**
 * Reads along what the server says. postgres.js handles some messages in functions whose failure nobody can catch (those about
 * the password, and copies that nobody asked for), and looks for the end of a text for ever: a server that says something else
 * than Postgres would end the process, or stop it.
 */
export class ServerMessages {
  /** The beginning of a message that is not complete. */
  #incomplete: Buffer = Buffer.alloc(0);
  /** How much of a message that need not be looked at is still to come. */
  #toSkip = 0;
  #isLoginOver = false;

  /** Whether the server has said that it is ready for statements. */
  get isLoginOver(): boolean {
    return this.#isLoginOver;
  }

  /** @throws Error when the server does not speak as Postgres does */
  read(chunk: Buffer): void {
    if (this.#toSkip >= chunk.length) {
      this.#toSkip -= chunk.length;
      return;
    }
    let rest = chunk.subarray(this.#toSkip);
    this.#toSkip = 0;
    if (this.#incomplete.length > 0) {
      rest = Buffer.concat([this.#incomplete, rest]);
    }
    while (rest.length >= HEADER) {
      const type = rest[0] ?? 0;
      const end = rest.readUInt32BE(1) + 1;
      const isLookedAt = !this.#isLoginOver || type === NOTIFICATION || type === ROW_DESCRIPTION;
      const isExpected = (this.#isLoginOver ? AFTER_LOGIN : DURING_LOGIN).has(type);
      if (!isExpected || end < HEADER || (isLookedAt && end > MAX_LENGTH)) {
        throw new Error("the server does not speak Postgres's protocol");
      }
      if (rest.length < end) {
        if (isLookedAt) {
          break;
        }
        this.#toSkip = end - rest.length;
      } else if (isLookedAt) {
        check(type, rest.subarray(HEADER, end));
      }
      this.#isLoginOver ||= type === READY;
      rest = rest.subarray(end);
    }
    this.#incomplete = rest;
  }
}

function check(type: number, body: Buffer): void {
  const isSound =
    type === NOTIFICATION
      ? body.indexOf(0, 4) >= 0
      : type === ROW_DESCRIPTION
        ? areColumnsComplete(body)
        : type !== AUTHENTICATION || checkAuthentication(body);
  if (!isSound) {
    throw new Error("the server does not speak Postgres's protocol");
  }
}

function areColumnsComplete(body: Buffer): boolean {
  const columns = body.length < 2 ? 0 : body.readUInt16BE(0);
  let at = 2;
  for (let column = 0; column < columns; column += 1) {
    const nameEnd = body.indexOf(0, at);
    at = nameEnd + 1 + COLUMN_BYTES;
    if (nameEnd < 0 || at > body.length) {
      return false;
    }
  }
  return true;
}

function checkAuthentication(body: Buffer): true {
  const method = body.length < 4 ? -1 : body.readUInt32BE(0);
  if (!AUTHENTICATIONS.includes(method)) {
    throw new Error(`the server asks for a way to authenticate that postgres.js does not know (${method})`);
  }
  if (method === MD5) {
    checkMd5();
  }
  if (method === SCRAM_CONTINUE) {
    const iterations = /^r=[^,]+,s=[A-Za-z0-9+/=]+,i=(\d{1,8})$/.exec(body.toString("utf8", 4))?.[1];
    if (iterations === undefined || Number(iterations) < 1 || Number(iterations) > MAX_ITERATIONS) {
      throw new Error("the server does not speak SCRAM as Postgres does");
    }
  }
  return true;
}

/** Where FIPS mode forbids it, postgres.js would fail uncaught. */
function checkMd5(): void {
  try {
    createHash("md5");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`the server asks for MD5, which this process cannot do: ${reason}`, { cause: error });
  }
}
