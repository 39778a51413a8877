// The process that keeps the locks: for each key a lease, and those who wait for it. It carries out one message after the other, so that nothing
// can happen in between.
import type {
  AbandonRequest,
  AcquireAnswer,
  AcquireRequest,
  GrantRequest,
  Holder,
  KeyState,
  OpenAnswer,
  ReleaseAnswer,
  RenewAnswer,
  RenewRequest,
} from "leasehold/store";

interface Lease {
  readonly request: AcquireRequest;
  readonly fence: bigint;
  readonly acquiredAtMs: number;
  /** Whether only its minimum hold keeps the key. */
  isReleased: boolean;
  expiresAtMs: number;
}

interface Waiter {
  readonly token: string;
  readonly ticket: bigint;
  readonly store: number;
  readonly seenAtMs: number;
}

const leases = new Map<string, Lease>();
/** Whoever has the lowest ticket is next. */
const queues = new Map<string, readonly Waiter[]>();
/** One for all keys: so a fence rises, whatever has become of the leases before. */
let fences = 0n;
let tickets = 0n;

/** In milliseconds since 1970, by a clock that nobody can set. */
const now = (): number => performance.timeOrigin + performance.now();

function open(): OpenAnswer {
  return { nowMs: now() };
}

function acquire(request: AcquireRequest, store: number): AcquireAnswer {
  const { key, token } = request;
  const nowMs = now();
  if (nowMs >= request.notAfterMs) return { outcome: "late", nowMs };
  const lease = leaseOf(key, nowMs);
  if (lease !== undefined && has(lease, token)) return granted(lease, nowMs); // asked again

  const waiting = waitersOf(key, nowMs);
  const ticket = waiting.find((one) => one.token === token)?.ticket ?? request.ticket ?? ++tickets;
  const others = waiting.filter((one) => one.token !== token);
  if (lease === undefined && others.every((one) => ticket < one.ticket)) {
    queues.set(key, others);
    fences += 1n;
    const expiresAtMs = nowMs + Math.min(request.ttlMs, request.maxHoldMs ?? Number.POSITIVE_INFINITY);
    const next = { request, fence: fences, acquiredAtMs: nowMs, isReleased: false, expiresAtMs };
    leases.set(key, next);
    return granted(next, nowMs);
  }
  const holder = lease === undefined ? null : holderOf(lease);
  if (!request.waits) return { outcome: "held", holder };
  queues.set(key, [...others, { token, ticket, store, seenAtMs: nowMs }]);
  return { outcome: "queued", ticket, holder, lookInMs: holder === null ? null : holder.expiresAtMs - nowMs };
}

function release({ key, token, fence }: GrantRequest): ReleaseAnswer {
  return leases.get(key)?.fence === fence ? end(key, token, true) : { outcome: "gone", reason: null };
}

function abandon({ key, token, wasHeld }: AbandonRequest): ReleaseAnswer {
  const others = waitersOf(key, now()).filter((one) => one.token !== token);
  queues.set(key, others);
  return end(key, token, wasHeld);
}

function renew({ key, token, fence, ttlMs }: RenewRequest): RenewAnswer {
  const nowMs = now();
  const lease = leases.get(key);
  if (lease === undefined || !has(lease, token) || lease.fence !== fence) return { outcome: "lost", reason: "taken" };
  if (nowMs >= lease.expiresAtMs) return { outcome: "lost", reason: whyOver(lease, nowMs) };
  lease.expiresAtMs = Math.max(lease.expiresAtMs, Math.min(nowMs + ttlMs, maxHoldUntilMs(lease)));
  return { outcome: "renewed", nowMs, expiresAtMs: lease.expiresAtMs };
}

function check(key: string): KeyState {
  const nowMs = now();
  const waiters = waitersOf(key, nowMs).length;
  const free = {
    mode: "exclusive" as const,
    holders: [],
    acquiredAtMs: null,
    freeAtMs: null,
    metadata: null,
    nowMs,
    waiters,
  };
  const lease = leaseOf(key, nowMs);
  if (lease === undefined) return { state: "free", ...free };
  const { request, acquiredAtMs, expiresAtMs: freeAtMs, isReleased } = lease;
  if (isReleased) return { state: "cooling", ...free, freeAtMs };
  return { ...free, state: "held", holders: [holderOf(lease)], acquiredAtMs, freeAtMs, metadata: request.metadata };
}

/** Frees what the token has. */
function end(key: string, token: string, minHoldCounts: boolean): ReleaseAnswer {
  const nowMs = now();
  const lease = leases.get(key);
  const next = waitersOf(key, nowMs).reduce<Waiter | null>((a, b) => (a && a.ticket < b.ticket ? a : b), null);
  if (next !== null) process.send?.({ store: next.store, wake: key });
  if (lease === undefined || !has(lease, token)) return { outcome: "gone", reason: null };
  leases.delete(key);
  if (nowMs >= lease.expiresAtMs) return { outcome: "expired", reason: whyOver(lease, nowMs) };
  const minHoldUntilMs = lease.acquiredAtMs + lease.request.minHoldMs;
  if (minHoldCounts && nowMs < minHoldUntilMs) {
    leases.set(key, { ...lease, isReleased: true, expiresAtMs: minHoldUntilMs });
  }
  return { outcome: "released", reason: null };
}

/** What keeps the key from being granted. */
function leaseOf(key: string, nowMs: number): Lease | undefined {
  const lease = leases.get(key);
  return lease !== undefined && nowMs < lease.expiresAtMs ? lease : undefined;
}

/** Without those that have not looked for 3 s. */
function waitersOf(key: string, nowMs: number): readonly Waiter[] {
  return (queues.get(key) ?? []).filter(({ seenAtMs }) => nowMs < seenAtMs + 3_000);
}

function has({ request, isReleased }: Lease, token: string): boolean {
  return request.token === token && !isReleased;
}

function granted({ fence, acquiredAtMs, expiresAtMs }: Lease, nowMs: number): AcquireAnswer {
  return { outcome: "granted", fence, acquiredAtMs, nowMs, expiresAtMs };
}

function holderOf({ request, fence, expiresAtMs }: Lease): Holder {
  return { owner: request.owner, fence, weight: 1, expiresAtMs };
}

function maxHoldUntilMs({ request, acquiredAtMs }: Lease): number {
  return acquiredAtMs + (request.maxHoldMs ?? Number.POSITIVE_INFINITY);
}

function whyOver(lease: Lease, nowMs: number): "max-hold" | "expired" {
  return nowMs >= maxHoldUntilMs(lease) ? "max-hold" : "expired";
}

const methods = { open, acquire, release, abandon, renew, check };

/** A call of a store, as it comes. */
export interface Call {
  readonly id: number;
  readonly store: number;
  readonly method: keyof typeof methods;
  readonly request: unknown;
}

process.on("message", ({ id, store, method, request }: Call) => {
  process.send?.({ id, answer: methods[method](request as never, store) });
});

// What has ended, and nobody has asked for since.
setInterval(() => {
  const nowMs = now();
  for (const [key, { expiresAtMs }] of leases) if (nowMs >= expiresAtMs + 60_000) leases.delete(key);
  for (const key of queues.keys()) if (waitersOf(key, nowMs).length === 0) queues.delete(key);
}, 60_000).unref();
