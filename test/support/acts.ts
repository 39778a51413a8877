// The internal functions as the client calls them, by the names of their arguments: for what no client would send, and for moments that
// it leaves no time for. Each of these is a part of a FROM clause with one row an item, whatever form the function answers in.
import { quoteLiteral } from "../../src/runtime/quote.js";

/** SQL in the place of a value. */
export class Expression {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export const expression = (text: string): Expression => new Expression(text);

type Value = string | number | bigint | boolean | null | undefined | Expression;

export interface NamedSession {
  readonly id: number;
  readonly nonce: string;
}

export interface Caller {
  /** In whose name. Default: without presence. */
  readonly session?: NamedSession | null;
  readonly takeoverMs?: Value;
  /** Numbers that the session had before. */
  readonly former?: readonly number[];
}

export interface Terms {
  readonly owner?: Value;
  readonly ttlMs?: Value;
  readonly minHoldMs?: Value;
  readonly maxHoldMs?: Value;
  /** JSON text. */
  readonly metadata?: Value;
  readonly waits?: Value;
  /** On the server's clock. Default: never too late. */
  readonly notAfterMs?: Value;
}

export interface Asking extends Terms {
  readonly key: Value;
  /** Default: a new one. */
  readonly token?: Value;
  readonly ticket?: Value;
  readonly proof?: Value;
  /** Of a share. Default: the whole key. */
  readonly weight?: Value;
  readonly capacity?: Value;
}

export interface Held {
  readonly key: Value;
  readonly token: Value;
  readonly fence: Value;
}

/** Rows: what acquire answers. Fences, tickets and proofs are bigint, which a client reads as text. */
export function acquireRows(items: readonly Asking[], caller: Caller & { readonly isCareful?: boolean } = {}): string {
  return call("acquire", {
    ...ofCaller(caller),
    careful: caller.isCareful ?? false,
    keys: column(items, "text", ({ key }) => key),
    tokens: column(items, "uuid", ({ token }) => (token === undefined ? crypto.randomUUID() : token)),
    owners: column(items, "text", ({ owner = "asker" }) => owner),
    ttls: column(items, "integer", ({ ttlMs = 60_000 }) => ttlMs),
    min_holds: column(items, "integer", ({ minHoldMs = 0 }) => minHoldMs),
    max_holds: column(items, "bigint", ({ maxHoldMs = null }) => maxHoldMs),
    metadata: column(items, "text", ({ metadata = null }) => metadata),
    not_after: column(items, "float8", ({ notAfterMs = "infinity" }) => notAfterMs),
    waits: column(items, "boolean", ({ waits = false }) => waits),
    tickets: column(items, "bigint", ({ ticket = null }) => ticket),
    proofs: column(items, "bigint", ({ proof = null }) => proof),
    former: former(caller),
    weights: column(items, "integer", ({ weight = null }) => weight),
    capacities: column(items, "integer", ({ capacity = null }) => capacity),
  });
}

/** One row: what a look that is alone in its transaction answers. */
export function lookRow(asking: Asking, caller: Caller = {}): string {
  const { owner = "asker", ttlMs = 60_000, minHoldMs = 0, maxHoldMs = null, metadata = null } = asking;
  return call("acquire_one", {
    ...ofCaller(caller),
    careful: false,
    key: asking.key,
    token: asking.token === undefined ? crypto.randomUUID() : asking.token,
    owner,
    ttl_ms: ttlMs,
    min_hold_ms: minHoldMs,
    max_hold_ms: maxHoldMs,
    metadata,
    not_after: asking.notAfterMs ?? "infinity",
    waits: asking.waits ?? false,
    ticket: asking.ticket ?? null,
    proof: asking.proof ?? null,
    former: former(caller),
  });
}

/** First attempts, whose terms are the same. Rows: item, outcome, fence, acquired, expires. */
export function firstAttemptRows(items: readonly Pick<Asking, "key" | "token">[], caller: Caller & Terms = {}): string {
  const { owner = "asker", ttlMs = 60_000, minHoldMs = 0, maxHoldMs = null, metadata = null } = caller;
  const answer = call("acquire_first", {
    ...ofCaller(caller),
    owner,
    ttl_ms: ttlMs,
    min_hold_ms: minHoldMs,
    max_hold_ms: maxHoldMs,
    metadata,
    waits: caller.waits ?? false,
    not_after: caller.notAfterMs ?? "infinity",
    keys: column(items, "text", ({ key }) => key),
    tokens: column(items, "uuid", ({ token }) => (token === undefined ? crypto.randomUUID() : token)),
    former: former(caller),
  });
  return `(
    select i.item, coalesce(r.others ->> 1, case when f.fence is not null then 'granted' end) as outcome,
           coalesce(r.others ->> 2, f.fence)::bigint as fence,
           coalesce((r.others ->> 3)::float8, case when r.others is null then a.acquired end) as acquired,
           coalesce((r.others ->> 4)::float8, case when r.others is null then a.expires end) as expires
      from ${answer} a
     ${othersOf(items.length)}
     cross join lateral (select nullif((string_to_array(a.fences, ','))[i.item], '') as fence) f
  )`;
}

/** Rows: item, outcome, reason. */
export function releaseRows(items: readonly Held[], { isRelaxed = false }: { isRelaxed?: boolean } = {}): string {
  return `(
    select i.item, coalesce(r.others ->> 1, 'released') as outcome, r.others ->> 2 as reason
      from ${call("release", { relaxed: isRelaxed, ...ofHeld(items) })} a
     ${othersOf(items.length)}
  )`;
}

/** For the same time, null: none. Rows: item, outcome, reason, expires. */
export function renewRows(
  items: readonly Held[],
  { ttlMs = 60_000, ...caller }: Caller & { readonly ttlMs?: Value } = {},
): string {
  return `(
    select i.item, coalesce(r.others ->> 1, 'renewed') as outcome, r.others ->> 3 as reason,
           coalesce((r.others ->> 2)::float8, case when r.others is null then a.expires end) as expires
      from ${call("renew", { ...ofCaller(caller), ttl_ms: ttlMs, ...ofHeld(items), former: former(caller) })} a
     ${othersOf(items.length)}
  )`;
}

export interface Abandoned {
  readonly key: Value;
  readonly token: Value;
  readonly wasHeld?: boolean;
  readonly isDoubted?: boolean;
}

/** Rows: item, outcome, reason. */
export function abandonRows(items: readonly Abandoned[], { isRelaxed = false }: { isRelaxed?: boolean } = {}): string {
  return call("abandon", {
    relaxed: isRelaxed,
    keys: column(items, "text", ({ key }) => key),
    tokens: column(items, "uuid", ({ token }) => token),
    held: column(items, "boolean", ({ wasHeld = true }) => wasHeld),
    doubted: column(items, "boolean", ({ isDoubted = false }) => isDoubted),
  });
}

/** Rows: the items whose entry is gone. */
export function keepEntriesRows(
  items: readonly { readonly key: Value; readonly token: Value }[],
  { session = null, notAfterMs = "infinity" }: { session?: NamedSession | null; notAfterMs?: Value } = {},
): string {
  return call("keep_entries", {
    session: session?.id ?? null,
    nonce: session?.nonce ?? null,
    not_after: notAfterMs,
    keys: column(items, "text", ({ key }) => key),
    tokens: column(items, "uuid", ({ token }) => token),
  });
}

function ofCaller({ session = null, takeoverMs = 5_000 }: Caller): Readonly<Record<string, Value>> {
  return { session: session?.id ?? null, nonce: session?.nonce ?? null, takeover_ms: takeoverMs };
}

function former({ former: numbers = [] }: Caller): Expression {
  return expression(`'{${numbers.join(",")}}'::integer[]`);
}

function ofHeld(items: readonly Held[]): Readonly<Record<string, Value>> {
  return {
    keys: column(items, "text", ({ key }) => key),
    tokens: column(items, "uuid", ({ token }) => token),
    fences: column(items, "bigint", ({ fence }) => fence),
  };
}

function othersOf(count: number): string {
  return `cross join generate_series(1, ${count}) as i (item)
      left join lateral (select others from json_array_elements(a.others::json) as x (others) where (x.others ->> 0)::int = i.item) r on true`;
}

function call(name: string, named: Readonly<Record<string, Value>>): string {
  const given = Object.entries(named).map(([argument, value]) => `p_${argument} => ${written(value)}`);
  return `leasehold_internal.${name}(${given.join(", ")})`;
}

function column<Item>(items: readonly Item[], type: string, read: (item: Item) => Value): Expression {
  return expression(`array[${items.map((item) => written(read(item))).join(", ")}]::${type}[]`);
}

function written(value: Value): string {
  if (value instanceof Expression) {
    return value.text;
  }
  return typeof value === "string" ? quoteLiteral(value) : String(value ?? null);
}
