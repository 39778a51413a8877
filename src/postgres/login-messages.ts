/** What a server may say until it is ready: authentication, error, notice, protocol version, parameters, key of the backend, ready. */
const EXPECTED = "RENvSKZ";
const MAX_LENGTH = 65_536;
/** The ways to log in that postgres.js knows, by their number: done, password, MD5, SCRAM in its three steps. */
const AUTHENTICATIONS: readonly number[] = [0, 3, 5, 10, 11, 12];
const SCRAM_CONTINUE = 11;
/** Deriving the key blocks the process for about 0.4 s per million. Postgres's default is 4,096. */
const MAX_ITERATIONS = 10_000_000;

/**
 * Reads along while a connection logs in. postgres.js answers in functions whose failure nobody can catch: a server that says
 * something else than Postgres would end the process.
 */
export class LoginMessages {
  #incomplete: Buffer = Buffer.alloc(0);
  #isOver = false;

  /** Whether the server has said that it is ready for statements. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** @throws Error when the server does not log in as Postgres does */
  read(chunk: Buffer): void {
    let rest = Buffer.concat([this.#incomplete, chunk]);
    while (!this.#isOver && rest.length >= 5) {
      const type = String.fromCharCode(rest[0] ?? 0);
      const end = rest.readUInt32BE(1) + 1;
      if (!EXPECTED.includes(type) || end < 5 || end > MAX_LENGTH) {
        throw new Error("the server does not speak Postgres's protocol");
      }
      if (rest.length < end) {
        break;
      }
      if (type === "R") {
        checkAuthentication(rest.subarray(5, end));
      }
      this.#isOver = type === "Z";
      rest = rest.subarray(end);
    }
    this.#incomplete = this.#isOver ? Buffer.alloc(0) : rest;
  }
}

function checkAuthentication(body: Buffer): void {
  const method = body.length < 4 ? -1 : body.readUInt32BE(0);
  if (!AUTHENTICATIONS.includes(method)) {
    throw new Error(`the server asks for a way to authenticate that postgres.js does not know (${method})`);
  }
  if (method === SCRAM_CONTINUE) {
    const iterations = /^r=[^,]+,s=[A-Za-z0-9+/=]+,i=(\d{1,8})$/.exec(body.toString("utf8", 4))?.[1];
    if (iterations === undefined || Number(iterations) < 1 || Number(iterations) > MAX_ITERATIONS) {
      throw new Error("the server does not speak SCRAM as Postgres does");
    }
  }
}
