import { LeaseholdError, UnavailableError } from "../errors/errors.js";
import { isHopeless } from "../store/retry.js";

/**
 * Makes one report of one outage. The session, each renewal and each waiter notice it by themselves, again and again. What will not pass by
 * itself is told besides, once each. It has ended when a request was answered: that a connection was made is not enough, for somebody may have a table locked.
 */
export class Outage {
  /** The texts that were told since it began. */
  readonly #told = new Set<string>();

  isNews(error: unknown): boolean {
    if (!(error instanceof LeaseholdError)) {
      return true;
    }
    const isPassing = error instanceof UnavailableError && !isHopeless(error);
    const text = isPassing ? "unavailable" : `${error.name}: ${error.message}`;
    const isNews = !this.#told.has(text);
    this.#told.add(text);
    return isNews;
  }

  /** Called with every renewal. */
  end(): void {
    if (this.#told.size > 0) {
      this.#told.clear();
    }
  }
}
