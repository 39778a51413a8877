// A lock server in memory behind a network that delays, loses and reorders what two lockers send: time is the manual clock's, chance
// is seeded. It keeps the rules that the client relies on: a token is granted once, nothing is done after its deadline, entries are kept.
import { after, driftMarginMs, type Instant, now, startTimer } from "../../src/runtime/clock.js";
import type {
  AbandonRequest,
  AcquireAllAnswer,
  AcquireAllRequest,
  AcquireAnswer,
  AcquireRequest,
  KeepEntriesRequest,
  Missing,
  PendingRelease,
  PendingRenewal,
  ReleaseAnswer,
  RenewAnswer,
} from "../../src/store/messages.js";
import { type Asked, FakeBackend, noAnswer, notSent, type Requests } from "./fake-backend.js";
import { clock } from "./manual-clock.js";

interface Lease {
  token: string;
  fence: bigint;
  ttlMs: number;
  acquiredAtMs: number;
  expiresAtMs: number;
}

interface Waiter {
  readonly token: string;
  readonly number: bigint;
  aliveUntilMs: number;
  readonly backend: FakeBackend;
}

export interface Weather {
  /** Chances: that a request is lost on its way there, and its answer on its way back. */
  lossThere: number;
  lossBack: number;
  /** That a request is refused before it is sent. */
  refusal: number;
  maxDelayMs: number;
}

/** By name. The longest delays: of a network that is only slow, and of one that loses much besides. */
export function weathers(slowMs: number, lossyMs: number): readonly (readonly [string, Weather])[] {
  return [
    ["a good network", { lossThere: 0, lossBack: 0, refusal: 0, maxDelayMs: 20 }],
    ["a slow one", { lossThere: 0, lossBack: 0, refusal: 0, maxDelayMs: slowMs }],
    ["one that loses requests and answers", { lossThere: 0.1, lossBack: 0.1, refusal: 0.1, maxDelayMs: 300 }],
    ["a slow one that loses much", { lossThere: 0.2, lossBack: 0.2, refusal: 0.2, maxDelayMs: lossyMs }],
  ];
}

export class SimulatedServer {
  readonly leases = new Map<string, Lease>();
  readonly waiters = new Map<string, Waiter[]>();
  readonly weather: Weather = { lossThere: 0, lossBack: 0, refusal: 0, maxDelayMs: 5 };
  readonly #random: () => number;
  /** When the last of what is on its way arrives, for each connection. */
  readonly #latest = new WeakMap<object, { there: number; back: number }>();
  #fence = 0n;
  #ticket = 0n;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** A backend of one process, over one connection that keeps the order of what is asked, or over several that do not. */
  connect({ keepsOrder }: { keepsOrder: boolean }): FakeBackend {
    const backend = new FakeBackend();
    backend.keepsOrder = keepsOrder;
    this.#serve(backend, backend.attempts, ({ key, token, terms, deadline }, sentAt) => {
      const notAfterMs = backend.serverTimeAt(deadline) ?? 0;
      return this.#acquire({ key, token, terms, notAfterMs, ticket: null }, sentAt, backend);
    });
    this.#serve(backend, backend.sets, (request, sentAt) => this.#acquireAll(request, sentAt, backend));
    this.#serve(backend, backend.looks, (request, sentAt) => this.#acquire(request, sentAt, backend));
    this.#serve(backend, backend.keeps, (request) => this.#keepEntries(request));
    this.#serve(backend, backend.releases, (request) => this.#release(request));
    this.#serve(backend, backend.abandons, (request) => this.#abandon(request));
    this.#serve(backend, backend.renewals, (request, sentAt) => this.#renew(request, sentAt));
    return backend;
  }

  /** Who has the key now. */
  holder(key: string): Lease | null {
    const lease = this.leases.get(key);
    return lease !== undefined && lease.expiresAtMs > clock.wallMs ? lease : null;
  }

  #serve<Request, Answer>(
    backend: FakeBackend,
    requests: Requests<Request, Answer>,
    act: (request: Request, sentAt: Instant) => Answer,
  ): void {
    const add = requests.add.bind(requests);
    requests.add = (asked: Asked<Request, Answer>) => {
      add(asked);
      const sentAt = now();
      const { lossThere, lossBack, refusal } = this.weather;
      if (this.#random() < refusal) {
        this.#later(() => asked.fail(notSent()));
        return;
      }
      const isLost = this.#random() < lossThere;
      const isAnswerLost = this.#random() < lossBack;
      const there = (): void => {
        const answer = isLost ? null : act(asked.request, sentAt);
        const back = (): void => (answer === null || isAnswerLost ? asked.fail(noAnswer()) : asked.answer(answer));
        backend.keepsOrder ? this.#inOrder(backend, "back", back) : this.#later(back);
      };
      backend.keepsOrder ? this.#inOrder(backend, "there", there) : this.#later(there);
    };
  }

  #later(work: () => void): void {
    startTimer(this.#delayMs, work, { keepsAlive: true });
  }

  /** Not before what was sent the same way earlier. */
  #inOrder(backend: object, way: "there" | "back", work: () => void): void {
    const latest = this.#latest.get(backend) ?? { there: 0, back: 0 };
    latest[way] = Math.max(latest[way], clock.monotonicMs + Math.ceil(this.#delayMs));
    this.#latest.set(backend, latest);
    startTimer(latest[way] - clock.monotonicMs, work, { keepsAlive: true });
  }

  get #delayMs(): number {
    return this.#random() ** 3 * this.weather.maxDelayMs;
  }

  #acquire(request: AcquireRequest, sentAt: Instant, backend: FakeBackend): AcquireAnswer {
    const { key, token, terms, notAfterMs, ticket } = request;
    const atMs = clock.wallMs;
    if (atMs >= notAfterMs) return { outcome: "late" };
    const lease = this.holder(key);
    if (lease?.token === token) return this.#grant(lease, sentAt);
    const queue = this.#queue(key);
    if (lease === null && (queue.length === 0 || queue[0]?.token === token)) {
      this.#fence += 1n;
      const { ttlMs } = terms;
      const granted = { token, fence: this.#fence, ttlMs, acquiredAtMs: atMs, expiresAtMs: atMs + ttlMs };
      this.leases.set(key, granted);
      this.#leave(key, token);
      return this.#grant(granted, sentAt);
    }
    const holder = lease && {
      owner: "o",
      fence: lease.fence,
      weight: null,
      sessionId: null,
      expiresAtMs: lease.expiresAtMs,
    };
    if (!terms.queues) return { outcome: "held", holder };
    let own = queue.find((waiter) => waiter.token === token);
    if (own === undefined) {
      own = { token, number: ticket?.number ?? ++this.#ticket, aliveUntilMs: 0, backend };
      queue.push(own);
      queue.sort((a, b) => (a.number < b.number ? -1 : 1));
      this.waiters.set(key, queue);
    }
    own.aliveUntilMs = atMs + 3_000;
    const lookInMs = lease !== null && queue[0] === own ? lease.expiresAtMs - atMs + 1 : null;
    return { outcome: "queued", ticket: { number: own.number, proof: 0n }, lookInMs, holder };
  }

  /** All or none, or a prefix. */
  #acquireAll(
    { items, terms, notAfterMs, takesPrefix }: AcquireAllRequest,
    sentAt: Instant,
    backend: FakeBackend,
  ): AcquireAllAnswer {
    if (clock.wallMs >= notAfterMs) return { outcome: "late" };
    const isFree = ({ key, token }: { key: string; token: string }): boolean => {
      const lease = this.holder(key);
      return lease === null ? this.#queue(key).length === 0 : lease.token === token;
    };
    const free = items.findIndex((item) => !isFree(item));
    const count = free === -1 ? items.length : takesPrefix ? free : 0;
    const ask = ({ key, token }: { key: string; token: string }): AcquireAnswer =>
      this.#acquire(
        { key, token, terms: { ...terms, queues: false } as never, notAfterMs, ticket: null },
        sentAt,
        backend,
      );
    const grants = items.slice(0, count).map((item) => ask(item) as AcquireAnswer & { outcome: "granted" });
    const missing =
      free === -1 ? null : { index: free, answer: ask(items[free] as (typeof items)[number]) as Missing["answer"] };
    return { outcome: "answered", grants, missing };
  }

  #grant({ fence, acquiredAtMs, expiresAtMs }: Lease, sentAt: Instant): AcquireAnswer {
    return {
      outcome: "granted",
      fence,
      acquiredAtMs,
      expiresAtMs,
      takeover: null,
      ...this.#proof(expiresAtMs, sentAt),
    };
  }

  /** As the backend reckons it: from when the request was sent, a margin for drift taken off. */
  #proof(expiresAtMs: number, sentAt: Instant) {
    const leftMs = expiresAtMs - clock.wallMs;
    return { until: after(sentAt, leftMs - driftMarginMs(Math.max(leftMs, 0))), incarnation: 1 };
  }

  #keepEntries({ entries, notAfterMs }: KeepEntriesRequest) {
    if (clock.wallMs >= notAfterMs) return null;
    return entries.filter(({ key, token }) => {
      const own = this.#queue(key).find((waiter) => waiter.token === token);
      if (own !== undefined) own.aliveUntilMs = clock.wallMs + 3_000;
      return own === undefined;
    });
  }

  #release({ key, token, fence }: PendingRelease): ReleaseAnswer {
    const lease = this.leases.get(key);
    if (lease?.token !== token || lease.fence !== fence) return { outcome: "gone", reason: lease ? "taken" : null };
    return this.#free(key, lease);
  }

  #free(key: string, lease: Lease): ReleaseAnswer {
    this.leases.delete(key);
    this.#wake(key);
    return lease.expiresAtMs > clock.wallMs
      ? { outcome: "released", reason: null }
      : { outcome: "expired", reason: "expired" };
  }

  #abandon({ key, token }: AbandonRequest): ReleaseAnswer {
    this.#leave(key, token);
    const lease = this.leases.get(key);
    if (lease?.token === token) return this.#free(key, lease);
    if (lease === undefined) this.#wake(key);
    return { outcome: "gone", reason: lease ? "taken" : null };
  }

  #renew({ key, token, fence, askedTtlMs }: PendingRenewal, sentAt: Instant): RenewAnswer {
    const lease = this.holder(key);
    if (lease?.token !== token || lease.fence !== fence) return { outcome: "lost", reason: "expired" };
    if (askedTtlMs !== null) lease.expiresAtMs = Math.max(lease.expiresAtMs, clock.wallMs + askedTtlMs);
    return { outcome: "renewed", expiresAtMs: lease.expiresAtMs, ...this.#proof(lease.expiresAtMs, sentAt) };
  }

  /** A NOTIFY may be lost: polling is the truth. */
  #wake(key: string): void {
    const [head] = this.#queue(key);
    if (head !== undefined && this.#random() >= this.weather.lossBack) this.#later(() => head.backend.wake());
  }

  #queue(key: string): Waiter[] {
    const queue = (this.waiters.get(key) ?? []).filter(({ aliveUntilMs }) => aliveUntilMs > clock.wallMs);
    this.waiters.set(key, queue);
    return queue;
  }

  #leave(key: string, token: string): void {
    this.waiters.set(
      key,
      this.#queue(key).filter((waiter) => waiter.token !== token),
    );
  }

  /** What is there, for a look after everybody has gone. */
  left(): string[] {
    const keys = new Set([...this.leases.keys(), ...this.waiters.keys()]);
    return [...keys].flatMap((key) => [
      ...(this.holder(key) === null ? [] : [`lease of ${key}`]),
      ...this.#queue(key).map(() => `waiter for ${key}`),
    ]);
  }
}
