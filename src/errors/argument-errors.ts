import { describe, describeType } from "../runtime/describe.js";
import { brand, type ErrorData, identified, LeaseholdError } from "./base.js";

/** What `InvalidKeyError` is made of. `received` is the value itself; the error keeps a description of it only. */
export interface InvalidKeyData extends ErrorData {
  /** What a key must be. Default `text of 1 to 512 bytes`. */
  readonly expected?: string | undefined;
  /** What came in its place. */
  readonly received?: unknown;
}

/** The key cannot be used. Nothing was sent. */
export class InvalidKeyError extends LeaseholdError {
  static {
    brand(InvalidKeyError, "InvalidKeyError");
  }

  override readonly code = "invalid-key" as const;
  /** What a key must be. */
  readonly expected: string;
  /** What came, as text. */
  readonly received: string;

  constructor({ expected = "text of 1 to 512 bytes", received, message, cause }: InvalidKeyData = {}) {
    const came = describe(received);
    super(message ?? `key: expected ${expected}, got ${came}`, cause);
    this.expected = expected;
    this.received = came;
  }
}

/** What `InvalidOptionError` is made of. `received` is the value itself; the error keeps a description of it only. */
export interface InvalidOptionData extends ErrorData {
  /** Its name, or its path: `instances.east.url`. */
  readonly option: string;
  /** What it must be. Default `another value`. */
  readonly expected?: string | undefined;
  /** What came in its place. */
  readonly received?: unknown;
}

/** An option or an argument cannot be used. Nothing was sent. */
export class InvalidOptionError extends LeaseholdError {
  static {
    brand(InvalidOptionError, "InvalidOptionError");
  }

  override readonly code = "invalid-option" as const;
  /** Its name, or its path: `instances.east.url`. */
  readonly option: string;
  /** What it must be. */
  readonly expected: string;
  /** What came, as text; the type alone where the value could hold a password. */
  readonly received: string;

  constructor(data: InvalidOptionData) {
    const {
      option,
      expected = "another value",
      received,
      message,
      cause,
    } = identified(new.target.prototype.name, data, "option");
    const came = mayHoldSecret(option) ? describeType(received) : describe(received);
    super(message ?? `${option}: expected ${expected}, got ${came}`, cause);
    this.option = option;
    this.expected = expected;
    this.received = came;
  }
}

/**
 * An address carries its password, and somebody may have put an address or a password into any option like these. What should be a detached
 * lock may be one as text, with its token.
 */
function mayHoldSecret(option: string): boolean {
  return /url|password|ssl|client|connection|createLocker|token|secret|^detached$|^instances(\.[^.]+)?$/i.test(option);
}
