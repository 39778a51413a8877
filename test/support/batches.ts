// The three statements of the fast path as the client sends them, below the client: for what no client would do, and for moments that it
// leaves no time for.
import type postgres from "postgres";

type Sql = postgres.Sql | postgres.TransactionSql;

export interface Session {
  readonly id: number;
  readonly nonce: string;
}

/** What the claims of a batch have in common. */
export interface Terms {
  readonly session?: Session;
  /** Numbers that the session had before. */
  readonly former?: readonly number[];
  readonly takeoverMs?: number;
  readonly owner?: string;
  readonly ttlMs?: number;
  readonly minHoldMs?: number;
  readonly maxHoldMs?: number;
  readonly metadata?: string;
  /** Whether they queue when the key is not free. Default: a try. */
  readonly waits?: boolean;
  /** After this, on the server's clock, it is too late. Default: never. */
  readonly notAfterMs?: number;
}

export interface Claim {
  readonly key: string;
  /** Default: a new one. */
  readonly token?: string;
}

export interface Answered {
  readonly key: string;
  readonly token: string;
  readonly outcome: string;
  readonly fence: bigint | null;
  readonly acquired: number | null;
  readonly expires: number | null;
  readonly ticket: string | null;
  readonly holder: string | null;
  readonly holderFence: bigint | null;
  readonly holderSession: number | null;
  readonly nextLook: number | null;
  readonly blocker: number | null;
  readonly takeover: string | null;
  /** Whether the one answer for the whole batch granted it, not the loop. */
  readonly isPlain: boolean;
}

/** The first attempts of a batch of claims, in their order. */
export async function acquireFirst(
  sql: Sql,
  claims: readonly (Claim | string)[],
  terms: Terms = {},
): Promise<Answered[]> {
  const asked = claims.map((claim) => (typeof claim === "string" ? { key: claim } : claim));
  const tokens = asked.map(({ token }) => token ?? crypto.randomUUID());
  const keys = array(asked.map(({ key }) => key));
  const [answer] = await sql`
    select fences, acquired, expires, others, now from leasehold_internal.acquire_first(
      p_session => ${terms.session?.id ?? null}::int, p_nonce => ${terms.session?.nonce ?? null}::uuid,
      p_takeover_ms => ${terms.takeoverMs ?? 5_000}::int, p_owner => ${terms.owner ?? "asker"}::text,
      p_ttl_ms => ${terms.ttlMs ?? 60_000}::int, p_min_hold_ms => ${terms.minHoldMs ?? 0}::int,
      p_max_hold_ms => ${terms.maxHoldMs ?? null}::bigint, p_metadata => ${terms.metadata ?? null}::text,
      p_waits => ${String(terms.waits ?? false)}::text::bool, p_not_after => ${terms.notAfterMs ?? "Infinity"}::float8,
      p_keys => ${keys}::text::text[], p_tokens => ${array(tokens)}::text::uuid[],
      p_former => ${array((terms.former ?? []).map(String))}::text::int[])`;
  if (answer === undefined) throw new Error("no answer");
  const fences = String(answer.fences).split(",");
  if (fences.length !== claims.length) throw new Error(`${fences.length} fences for ${claims.length} claims`);
  const others = new Map(
    (answer.others === null ? [] : JSON.parse(answer.others)).map((row: unknown[]) => [row[0], row]),
  );
  return asked.map(({ key }, index) => {
    const token = tokens[index] as string;
    const plain = fences[index] !== "";
    const row = others.get(index + 1) as (string | number | null)[] | undefined;
    if (plain === (row !== undefined)) throw new Error(`${key} was answered ${plain ? "twice" : "not at all"}`);
    const [
      ,
      outcome,
      fence,
      acquired,
      expires,
      ticket,
      holder,
      holderFence,
      holderSession,
      nextLook,
      blocker,
      takeover,
    ] = row ?? [null, "granted", fences[index], answer.acquired, answer.expires];
    return {
      key,
      token,
      outcome: String(outcome),
      fence: toBigInt(fence),
      acquired,
      expires,
      ticket: ticket ?? null,
      holder: holder ?? null,
      holderFence: toBigInt(holderFence),
      holderSession: holderSession ?? null,
      nextLook: nextLook ?? null,
      blocker: blocker ?? null,
      takeover: takeover ?? null,
      isPlain: plain,
    };
  });
}

export interface Held {
  readonly key: string;
  readonly token: string;
  readonly fence: bigint | null;
}

export interface Freed {
  readonly outcome: string;
  readonly reason: string | null;
  /** The session of whoever is next in the queue. */
  readonly next: number | null;
}

/** Releases a batch; the answers in its order. */
export async function releaseBatch(sql: Sql, held: readonly Held[], { isRelaxed = true } = {}): Promise<Freed[]> {
  const [answer] = await sql`
    select others from leasehold_internal.release(p_relaxed => ${String(isRelaxed)}::text::bool,
      p_keys => ${array(held.map(({ key }) => key))}::text::text[], p_tokens => ${array(held.map(({ token }) => token))}::text::uuid[],
      p_fences => ${array(held.map(({ fence }) => String(fence)))}::text::bigint[])`;
  const others = new Map(
    (answer?.others == null ? [] : JSON.parse(answer.others)).map((row: unknown[]) => [row[0], row]),
  );
  return held.map((_, index) => {
    const [, outcome, reason, next] = (others.get(index + 1) as [number, string, string | null, number | null]) ?? [
      index,
      "released",
      null,
      null,
    ];
    return { outcome, reason, next };
  });
}

export interface Renewed {
  readonly outcome: string;
  readonly reason: string | null;
  readonly expires: number | null;
  readonly isPlain: boolean;
}

/** Renews a batch with one TTL, null: proves only; the answers in its order. */
export async function renewBatch(
  sql: Sql,
  held: readonly Held[],
  {
    session,
    former,
    takeoverMs,
    ttlMs = null,
  }: Pick<Terms, "session" | "former" | "takeoverMs"> & { readonly ttlMs?: number | null },
): Promise<Renewed[]> {
  const [answer] = await sql`
    select expires, others from leasehold_internal.renew(
      p_session => ${session?.id ?? null}::int, p_nonce => ${session?.nonce ?? null}::uuid,
      p_takeover_ms => ${takeoverMs ?? 5_000}::int, p_ttl_ms => ${ttlMs}::int,
      p_keys => ${array(held.map(({ key }) => key))}::text::text[], p_tokens => ${array(held.map(({ token }) => token))}::text::uuid[],
      p_fences => ${array(held.map(({ fence }) => String(fence)))}::text::bigint[],
      p_former => ${array((former ?? []).map(String))}::text::int[])`;
  const others = new Map(
    (answer?.others == null ? [] : JSON.parse(answer.others)).map((row: unknown[]) => [row[0], row]),
  );
  return held.map((_, index) => {
    const row = others.get(index + 1) as [number, string, number | null, string | null] | undefined;
    const [, outcome, expires, reason] = row ?? [index, "renewed", answer?.expires, null];
    return { outcome, expires, reason, isPlain: row === undefined };
  });
}

function toBigInt(value: unknown): bigint | null {
  return value == null ? null : BigInt(value as string);
}

function array(items: readonly string[]): string {
  return `{${items.map((item) => `"${item.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;
}
