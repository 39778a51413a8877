import { checkKey } from "../../config/key.js";
import { monotonicNowMs } from "../../runtime/clock.js";
import type { Reader } from "./reader.js";

/** What was asked so lately is not asked again. */
const GOOD_FOR_MS = 900;

/** Looks at single keys, however many ask for one: once a second. */
export class Checks {
  readonly #reader: Pick<Reader, "check">;
  /** The oldest first. */
  readonly #answers = new Map<string, { readonly atMs: number; readonly answer: Promise<string> }>();

  constructor(reader: Pick<Reader, "check">) {
    this.#reader = reader;
  }

  /** JSON text. @throws LeaseholdError, also for what can be no key: an error of Postgres would cost the connection that all share */
  async of(key: string): Promise<string> {
    checkKey(key);
    const nowMs = monotonicNowMs();
    for (const [old, { atMs }] of this.#answers) {
      if (nowMs - atMs < GOOD_FOR_MS) {
        break;
      }
      this.#answers.delete(old);
    }
    const known = this.#answers.get(key);
    if (known !== undefined) {
      return await known.answer;
    }
    const answer = this.#reader.check(key);
    this.#answers.set(key, { atMs: nowMs, answer });
    return await answer;
  }
}
