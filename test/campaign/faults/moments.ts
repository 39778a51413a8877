// Lets a fault hit a statement at a chosen moment of its way, and says what it found.
import type { Actor } from "../actor.js";
import { type Draw, pick } from "../draw.js";
import type { Moment } from "../log.js";

export interface Caught {
  readonly moment: Moment;
  /** The function that the statement calls. */
  readonly during?: string;
  /** Lets go what was kept back for the moment. */
  release(): void;
}

const patterns: readonly RegExp[] = [
  /leasehold_internal\.acquire/,
  /leasehold_internal\.acquire/,
  /leasehold_internal\.release/,
  /leasehold_internal\.renew/,
  /leasehold_internal\.abandon/,
  /leasehold_internal\.heartbeat/,
  /leasehold_internal\.(open_session|close_session)/,
  /leasehold(_internal)?\.guard/,
  /^\s*commit/i,
  /leasehold(_internal)?\.\w+/,
];

const moments: readonly Moment[] = [
  "any",
  "before sending",
  "in flight",
  "after the commit",
  "before the answer was read",
];

// biome-ignore lint/suspicious/noThenProperty: what becomes of the connection afterwards
const lost = { then: "blackhole" } as const;

/** What is not there soon is not waited for. */
const PATIENCE_MS = 700;

/** Waits until a statement of this process is where the fault shall meet it. What cannot be met so is met as it is: "any". */
export async function catchMoment(actor: Actor, { moment, detail }: Draw): Promise<Caught> {
  const wanted = pick(moments, moment);
  const pattern = pick(patterns, detail);
  const { proxy } = actor;
  if (wanted === "in flight") {
    const sent = await soon(proxy.onStatement(pattern));
    return sent ? { moment: wanted, during: nameOf(sent.sql), release() {} } : nothing;
  }
  if (wanted === "before sending" || wanted === "before the answer was read") {
    const held = proxy.holdStatement(pattern);
    const statement = await soon(held.arrived);
    if (statement === undefined) {
      held.cancel();
      return nothing;
    }
    const during = nameOf(statement.sql);
    if (wanted === "before sending") return { moment: wanted, during, release: () => held.discard() };
    // it stands still while the answer comes into its socket
    actor.freeze();
    await soon(held.forward());
    return { moment: wanted, during, release: () => actor.resume() };
  }
  if (wanted === "after the commit") {
    const statement = proxy.onStatement(pattern);
    const { dropped, cancel } = proxy.dropAnswerOf(pattern, lost);
    const seen = await soon(statement);
    if (seen === undefined) {
      cancel();
      return nothing;
    }
    if ((await soon(dropped.then(() => true))) === undefined)
      return { moment: "in flight", during: nameOf(seen.sql), release() {} };
    return { moment: wanted, during: nameOf(seen.sql), release: () => seen.connection.cut() };
  }
  return nothing;
}

const nothing: Caught = { moment: "any", release() {} };

export function nameOf(sql: string): string {
  const found = /leasehold(?:_internal)?\.(\w+)/.exec(sql);
  return found?.[1] ?? /^\s*(\w+)/.exec(sql)?.[1]?.toLowerCase() ?? "?";
}

async function soon<T>(what: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), PATIENCE_MS);
  });
  return Promise.race([what, late]).finally(() => clearTimeout(timer));
}
