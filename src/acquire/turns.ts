import { UnavailableError } from "../errors/errors.js";
import type { Clock, Instant } from "../runtime/clock.js";

interface Queued {
  readonly since: Instant;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Lets a limited number of requests ask the server at once. The others wait for their turn, in order. A request has `requestTimeoutMs`
 * from when it is sent: of 10,000 sent at once, the last would run out of time behind the others, although the server answers them all.
 */
export class Turns {
  readonly #clock: Clock;
  readonly #most: number;
  readonly #patienceMs: number;
  #count = 0;
  /** Those that wait begin at `#next`, because removing the first of an array of thousands would copy it. */
  #queue: Queued[] = [];
  #next = 0;

  /** `patienceMs`: when a request fails because Postgres cannot be reached, those that have waited for so long fail with it. */
  constructor(clock: Clock, most: number, patienceMs: number) {
    this.#clock = clock;
    this.#most = most;
    this.#patienceMs = patienceMs;
  }

  /** @throws UnavailableError when the requests of others had no answer either */
  async take<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    if (this.#count < this.#most) {
      this.#count += 1;
    } else {
      await new Promise<void>((resolve, reject) => {
        this.#queue.push({ since: this.#clock.now(), resolve, reject });
      });
    }
    try {
      return await ask();
    } catch (error) {
      if (error instanceof UnavailableError) {
        this.#giveUp(error);
      }
      throw error;
    } finally {
      this.#passOn();
    }
  }

  #passOn(): void {
    const queued = this.#queue[this.#next];
    if (queued === undefined) {
      this.#count -= 1;
      this.#queue = [];
      this.#next = 0;
      return;
    }
    this.#next += 1;
    if (this.#next > this.#queue.length / 2) {
      this.#queue = this.#queue.slice(this.#next);
      this.#next = 0;
    }
    queued.resolve();
  }

  #giveUp(cause: UnavailableError): void {
    for (let queued = this.#queue[this.#next]; queued !== undefined; queued = this.#queue[this.#next]) {
      if (this.#clock.elapsedMs(queued.since) < this.#patienceMs) {
        return;
      }
      this.#next += 1;
      queued.reject(new UnavailableError({ outcome: "not-sent", cause }));
    }
  }
}
