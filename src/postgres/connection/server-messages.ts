import { createHash } from "node:crypto";

const codes = (types: string): ReadonlySet<number> => new Set([...types].map((type) => type.charCodeAt(0)));

/** Before it is ready: authentication, error, notice, protocol version, parameters, key of the backend, ready. */
const DURING_LOGIN = codes("RENvSKZ");
/** Afterwards, for a client that uses neither copy nor cursors. */
const AFTER_LOGIN = codes("12ACDEINSTZnt");
/** May come at any time, and belong to no statement: notification, notice, parameter. */
const AT_ANY_TIME = codes("ANS");
const AUTHENTICATION = 0x52;
const ERROR = 0x45;
const READY = 0x5a;
const NOTIFICATION = 0x41;
const ROW_DESCRIPTION = 0x54;
const HEADER = 5;
const NOTHING: Buffer = Buffer.alloc(0);
const MAX_LENGTH = 65_536;
/** The authentication messages that postgres.js supports, by number: done, password, MD5, the three steps of SCRAM. */
const AUTHENTICATIONS: readonly number[] = [0, 3, 5, 10, 11, 12];
const MD5 = 5;
const SCRAM_CONTINUE = 11;
/** Deriving the key blocks the process for about 0.4 s per million. Postgres's default is 4,096. */
const MAX_ITERATIONS = 10_000_000;
/** Length of what follows the name of a column. */
const COLUMN_BYTES = 18;

/**
 * Checks what the server sends before postgres.js reads it. postgres.js handles some messages in functions whose errors
 * nobody can catch (those about the password, and unexpected copies), and looks for the end of a string for ever. A
 * server that does not behave like Postgres would end the process, or block it.
 */
export class ServerMessages {
  /** The beginning of a message that is not complete. */
  #incomplete: Buffer = NOTHING;
  /** How many bytes of a message that is not checked are still to come. */
  #toSkip = 0;
  #isLoginOver = false;
  /** The last message that belongs to a statement. READY: the next one begins an answer. */
  #last = READY;

  /** Whether the server is ready for statements. */
  get isLoginOver(): boolean {
    return this.#isLoginOver;
  }

  /** @throws Error if the server does not behave like Postgres */
  read(chunk: Buffer): void {
    if (this.#toSkip >= chunk.length) {
      this.#toSkip -= chunk.length;
      return;
    }
    const bytes = this.#incomplete === NOTHING ? chunk : Buffer.concat([this.#incomplete, chunk]);
    let at = this.#toSkip; // 0 behind an incomplete message
    this.#toSkip = 0;
    while (bytes.length - at >= HEADER) {
      const type = bytes[at] ?? 0;
      const length = bytes.readUInt32BE(at + 1) + 1;
      const isLookedAt = !this.#isLoginOver || type === NOTIFICATION || type === ROW_DESCRIPTION;
      const isExpected = (this.#isLoginOver ? AFTER_LOGIN : DURING_LOGIN).has(type);
      if (!isExpected || length < HEADER || (isLookedAt && length > MAX_LENGTH)) {
        throw new Error("the server does not speak Postgres's protocol");
      }
      this.#follow(type);
      const end = at + length;
      if (bytes.length < end) {
        if (isLookedAt) {
          break;
        }
        this.#toSkip = end - bytes.length;
      } else if (isLookedAt) {
        check(type, bytes.subarray(at + HEADER, end));
      }
      this.#isLoginOver ||= type === READY;
      at = Math.min(end, bytes.length);
    }
    this.#incomplete = at === bytes.length ? NOTHING : bytes.subarray(at);
  }

  /**
   * Pgpool-II (4.3) answers a statement with answers to questions of its own, or not at all, when the statement before has failed and was
   * not waited for. postgres.js counts answers: it would give those that follow to the wrong callers.
   */
  #follow(type: number): void {
    if (!this.#isLoginOver || AT_ANY_TIME.has(type)) {
      return;
    }
    if (type === READY ? this.#last === READY : this.#last === ERROR) {
      throw new Error("what is in front of the server mixes up its answers");
    }
    this.#last = type;
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

/** If FIPS mode forbids MD5, postgres.js would throw uncaught. */
function checkMd5(): void {
  try {
    createHash("md5");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`the server asks for MD5, which this process cannot do: ${reason}`, { cause: error });
  }
}
