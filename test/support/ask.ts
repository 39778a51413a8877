// Acquire as the client sends it, below the client: for what no client would do, and for moments that it leaves no time for.
import type postgres from "postgres";

export interface AskOptions {
  /** Asks under a session, as presence does. */
  readonly session?: { readonly id: number; readonly nonce: string };
  /** After this, on the server's clock, it is too late. Default: in an hour. */
  readonly notAfterMs?: number;
}

export interface Asked {
  readonly key: string;
  readonly token: string;
  readonly outcome: string;
  readonly fence: bigint | null;
  /** Who was robbed, by a grant; or who holds. */
  readonly holder: string | null;
  readonly holderFence: bigint | null;
  readonly takeover: string | null;
  /** In milliseconds since 1970. */
  readonly since: number | null;
}

/** One statement for all of the keys; the answers in their order. */
export async function ask(sql: postgres.Sql, keys: readonly string[], options: AskOptions = {}): Promise<Asked[]> {
  const { session, notAfterMs = Date.now() + 3_600_000 } = options;
  const tokens = keys.map(() => crypto.randomUUID());
  const each = (value: unknown) => `{${keys.map(() => value).join(",")}}`;
  const answers = await sql`
    select outcome, fence::text, holder, holderfence::text, takeover, since
      from leasehold_internal.acquire(
        ${session?.id ?? null}::int, ${session?.nonce ?? null}::uuid, 5000, false, ${array(keys)}::text::text[],
        ${array(tokens)}::text::uuid[], ${each("asker")}::text::text[], ${each(60_000)}::text::int[], ${each(0)}::text::int[],
        ${each("null")}::text::bigint[], ${each("null")}::text::text[], ${each(notAfterMs)}::text::float8[],
        ${each(false)}::text::bool[], ${each("null")}::text::bigint[])
     order by item`;
  return keys.map((key, index) => {
    const { outcome = "unanswered", fence = null, holder, holderfence = null, takeover, since } = answers[index] ?? {};
    return {
      key,
      token: tokens[index] as string,
      outcome,
      fence: fence === null ? null : BigInt(fence),
      holder,
      holderFence: holderfence === null ? null : BigInt(holderfence),
      takeover,
      since,
    };
  });
}

/** Releases what was granted. */
export async function giveBack(sql: postgres.Sql, asked: readonly Asked[]): Promise<void> {
  const granted = asked.filter(({ outcome }) => outcome === "granted");
  if (granted.length === 0) return;
  const of = (values: readonly unknown[]) => array(values.map(String));
  await sql`select from leasehold_internal.release(false, ${of(granted.map(({ key }) => key))}::text::text[],
    ${of(granted.map(({ token }) => token))}::text::uuid[], ${of(granted.map(({ fence }) => fence))}::text::bigint[])`;
}

function array(items: readonly string[]): string {
  return `{${items.map((item) => `"${item.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;
}
