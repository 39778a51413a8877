// A guarded transaction: something is read under the lock, thought about, and written.
import type { Hold } from "../../../src/index.js";
import { boundOfTransaction, statementTimeoutMs } from "../worker/bounds.js";
import type { Library, Row, Tx } from "../worker/data.js";
import { GivenUp } from "../worker/failure.js";
import type { Flow } from "../worker/flow.js";
import type { Handle } from "../worker/handles.js";
import type { Call } from "../worker/log-file.js";
import { release } from "./holding.js";

/** What is done besides reading and writing. Never: to ask the lock whether it is still held. */
export interface Whims {
  readonly way: Way;
  readonly reads: "under the lock" | "in the transaction" | "after the guard";
  readonly thinkMs: number;
  readonly pauseMs: number;
  readonly savepoint: "none" | "kept" | "rolled back";
  /** With the transaction open, after its guard. */
  readonly releasesWithin: boolean;
  readonly fails: boolean;
}

/** How a transaction is guarded. */
export interface Way {
  /** As the log has it. */
  readonly by: string;
  readonly library: Library;
  readonly guards: "lock.transaction" | "lock.guard" | "SQL";
}

function waysOf({ data }: Flow): readonly Way[] {
  return data.libraries.flatMap((library) => {
    const ways: Way[] = [{ by: library.name, library, guards: "lock.transaction" }];
    if (library.plain) ways.push({ by: `lock.guard in ${library.name}`, library, guards: "lock.guard" });
    if (library.name === "node-postgres") ways.push({ by: "SQL", library, guards: "SQL" });
    return ways;
  });
}

export function drawWhims(flow: Flow): Whims {
  const { chance } = flow;
  return {
    way: chance.pick(waysOf(flow)),
    reads: chance.pick(["under the lock", "in the transaction", "after the guard"]),
    thinkMs: chance.is(0.3) ? 0 : chance.between(1, 40),
    pauseMs: chance.is(0.5) ? 0 : chance.between(1, 40),
    savepoint: chance.is(0.3) ? chance.pick(["kept", "rolled back"]) : "none",
    releasesWithin: chance.is(0.08),
    fails: chance.is(0.06),
  };
}

/** What is guarded: one lock, or the locks of a set. */
export interface Guarded {
  readonly hold: Hold;
  readonly handles: readonly Handle[];
}

/** `by` an amount for each of the locks: what an account has more afterwards. Under a share nothing is changed, and the write is only noted. */
export async function writeGuarded(
  flow: Flow,
  guarded: Guarded,
  amounts: readonly number[],
  whims: Whims,
): Promise<boolean> {
  const { args, log, handles } = flow;
  const [first] = guarded.handles as readonly [Handle, ...Handle[]];
  const wasBefore = await readAll(guarded, (text, parameters) => flow.data.query(text, parameters)).catch(() => null);
  if (wasBefore === null) return false; // it cannot be read: there is nothing to write
  await flow.pause(whims.thinkMs);
  for (const handle of guarded.handles) handles.sample(handle);

  const { by, library, guards } = whims.way;
  const statements = 8 + 3 * guarded.handles.length;
  const boundMs = boundOfTransaction(args, statements, whims.pauseMs);
  const call: Call = {
    call: "transaction",
    keys: guarded.handles.map(({ lock }) => lock.key),
    by,
    boundMs,
    // who guards in SQL does not ask the handle, which may have ended before Postgres knows
    ...(guarded.handles.length === 1 && guards !== "SQL" ? { lock: first.grant.lock } : {}),
  };
  const guard = async (tx: Tx): Promise<void> => {
    if (guards !== "SQL") return await tx.guard(guarded.hold);
    for (const { lock } of guarded.handles) await guardInSql(tx, lock.key, String(lock.fence));
  };
  const body = async (tx: Tx): Promise<void> => {
    let was = wasBefore;
    if (whims.reads === "in the transaction") was = await readAll(guarded, tx.query);
    if (whims.savepoint !== "none") await tx.query("savepoint s");
    if (guards !== "lock.transaction") await guard(tx);
    if (whims.savepoint === "kept") await tx.query("release savepoint s");
    if (whims.savepoint === "rolled back") {
      await putAll(tx, flow, guarded, was, -1_000_000);
      await tx.query("rollback to savepoint s");
      await guard(tx);
    }
    if (whims.reads === "after the guard") was = await readAll(guarded, tx.query);
    if (whims.releasesWithin && guarded.handles.length === 1) await release(flow, first);
    await putAll(tx, flow, guarded, was, ...amounts);
    await flow.pause(whims.pauseMs);
    if (whims.fails) throw new GivenUp("the transaction is rolled back");
  };
  const run = (): Promise<void> =>
    guards === "lock.transaction" || library.plain === undefined
      ? library.guarded(guarded.hold, body)
      : library.plain(body);
  const { isDone } = await log.call(call, () => within(library, boundMs - statementTimeoutMs(args), run));
  for (const handle of guarded.handles) handles.sample(handle);
  return isDone;
}

/** A library without a limit for its statements is given one. */
async function within(library: Library, ms: number, run: () => Promise<void>): Promise<void> {
  const { interrupt } = library;
  const timer = interrupt && setTimeout(() => void interrupt().catch(() => {}), ms);
  try {
    await run();
  } finally {
    clearTimeout(timer);
  }
}

export async function guardInSql(tx: Pick<Tx, "query">, key: string, fence: string): Promise<void> {
  await tx.query("select leasehold.guard($1::text, $2::bigint)", [key, fence]);
}

async function readAll({ handles }: Guarded, query: Tx["query"]): Promise<readonly number[]> {
  const was: number[] = [];
  for (const handle of handles) {
    const [row] = isShare(handle) ? [{ value: 0 }] : await readValue(query, handle.lock.key);
    was.push(Number(row?.value));
  }
  return was;
}

function readValue(query: Tx["query"], key: string): Promise<readonly Row[]> {
  return query("select value from campaign.accounts where key = $1::text", [key]);
}

function isShare({ grant }: Handle): boolean {
  return grant.mode !== "exclusive";
}

async function putAll(
  tx: Tx,
  { args }: Flow,
  { handles }: Guarded,
  was: readonly number[],
  ...amounts: readonly number[]
): Promise<void> {
  for (const [at, handle] of handles.entries()) {
    const { key, fence } = handle.grant;
    const before = was[at] ?? 0;
    await put(tx, {
      key,
      fence,
      isShare: isShare(handle),
      was: before,
      value: before + (amounts[at] ?? 0),
      worker: args.name,
    });
  }
}

export interface Write {
  readonly key: string;
  readonly fence: string;
  readonly isShare: boolean;
  readonly was: number;
  readonly value: number;
  readonly worker: string;
}

export async function put(tx: Pick<Tx, "query">, { key, fence, isShare, was, value, worker }: Write): Promise<void> {
  await tx.query(
    `insert into campaign.writes (key, fence, is_share, was, value, worker)
     values ($1::text, $2::bigint, ${isShare}, $3::bigint, $4::bigint, $5::text)`,
    [key, fence, String(was), String(value), worker],
  );
  if (isShare) return;
  await tx.query("update campaign.accounts set value = $2::bigint where key = $1::text", [key, String(value)]);
}
