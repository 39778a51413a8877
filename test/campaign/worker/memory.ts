// Grants that have ended, for acts that come back to them much later.

export interface Ended {
  readonly key: string;
  /** Null: it goes on under another token. */
  readonly fence: string | null;
  /** Null: never told. */
  readonly token: string | null;
  /** From when on the server must have forgotten it, whatever was still under way or undone by a crash: performance.now(). */
  readonly staleAt: number;
}

const MOST = 50;

export class Memory {
  readonly #ended: Ended[] = [];

  /** It was released, lost or adopted. No renewal that was under way then reaches further than `ttlMs` beyond what it had. */
  add({ key, fence, token }: Omit<Ended, "staleAt">, ttlMs: number): void {
    this.#ended.push({ key, fence, token, staleAt: performance.now() + 2 * ttlMs + 500 });
    if (this.#ended.length > MOST) this.#ended.shift();
  }

  /** One that is stale by now. */
  take(at: number): Ended | undefined {
    const stale = this.#ended.filter(({ staleAt }) => staleAt < performance.now());
    const one = stale[Math.floor(at * stale.length)];
    if (one) this.#ended.splice(this.#ended.indexOf(one), 1);
    return one;
  }
}
