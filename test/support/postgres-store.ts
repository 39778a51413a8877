// Postgres behind the public port: what a locker asks its backend, as promises, so that the tests of every store can ask it, too.
import { setTimeout as sleep } from "node:timers/promises";
import type { KeyState, Holder as PortHolder, Store, StoreFactory, Validity } from "../../src/api/store.js";
import { resolveLockerOptions } from "../../src/config/resolve-options.js";
import { modeOf } from "../../src/config/share.js";
import type { LockerOptions, LockMode } from "../../src/index.js";
import { PostgresBackend } from "../../src/postgres/postgres-backend.js";
import type { Holder, ReleaseAnswer, RenewAnswer, Ticket } from "../../src/store/messages.js";
import type { TestDatabase } from "./database.js";

export function postgresStore(database: TestDatabase, options: LockerOptions = {}): StoreFactory {
  return (context) => {
    const resolved = resolveLockerOptions({ url: database.url, ...options });
    const backend = new PostgresBackend(resolved, {
      onWake: (key) => context.onWake(key),
      onReconnected: () => context.onReconnected(),
      onLost: (grant, reason) => context.onLost(grant, reason),
      onError: () => undefined,
      onWait: () => undefined,
      onNotice: () => undefined,
      onFailure: () => undefined,
    });
    const modes = new Map<string, LockMode>();
    const tickets = new Map<string, Ticket>();
    /** Read after the answer: a grant is not believed for longer than it lasts. */
    const serverMs = async (): Promise<number> => {
      const [row] = await database.sql`select extract(epoch from clock_timestamp())::float8 * 1000 as ms`;
      return row?.ms as number;
    };
    const validity = async (expiresAtMs: number): Promise<Validity> => ({ nowMs: await serverMs(), expiresAtMs });
    const store: Store = {
      name: "postgres",
      features: Object.fromEntries(
        ["crash-detection", "queue", "wake-ups", "shared-locks", "force-release", "durable"].map((name) => [
          name,
          { isOn: true, why: "-" },
        ]),
      ),
      open: async () => {
        await backend.open(5_000);
        return { nowMs: await serverMs() };
      },
      acquire: async (request) => {
        const { key, token, owner, ttlMs, minHoldMs, maxHoldMs, metadata, waits, notAfterMs, ticket } = request;
        const { mode, capacity, weight } = request;
        const share = mode === "exclusive" ? null : { capacity, weight };
        modes.set(token, mode);
        const known = tickets.get(token);
        const answer = await backend.acquire({
          key,
          token,
          terms: {
            owner,
            ttlMs,
            minHoldMs,
            maxHoldMs: maxHoldMs ?? Number.POSITIVE_INFINITY,
            metadata: { json: metadata },
            share,
            queues: waits,
            sort: JSON.stringify([owner, ttlMs, minHoldMs, maxHoldMs, metadata, waits, share]),
          },
          notAfterMs,
          ticket: known !== undefined && known.number === ticket ? known : null,
        });
        switch (answer.outcome) {
          case "granted": {
            const { fence, acquiredAtMs, takeover, expiresAtMs, otherCapacity } = answer;
            return {
              outcome: "granted",
              fence,
              acquiredAtMs,
              takeover,
              otherCapacity: otherCapacity ?? null,
              ...(await validity(expiresAtMs)),
            };
          }
          case "queued":
            tickets.set(token, answer.ticket);
            return { ...answer, ticket: answer.ticket.number, holder: toHolder(answer.holder) };
          case "held":
          case "busy":
            return { outcome: "held", holder: toHolder(answer.holder) };
          case "late":
            return { outcome: "late", nowMs: await serverMs() };
          default:
            throw new Error(`it answered ${answer.outcome}`);
        }
      },
      release: ({ key, token, fence }) => {
        const isShared = (modes.get(token) ?? "exclusive") !== "exclusive";
        return untilFree(
          () =>
            new Promise<ReleaseAnswer>((onAnswer, onFailure) =>
              backend.release({ key, token, fence, isShared, onSent: () => false, onAnswer, onFailure }),
            ),
        );
      },
      abandon: ({ key, token, wasHeld }) => untilFree(() => backend.abandon({ key, token, wasHeld, isDoubted: false })),
      renew: async ({ key, token, fence, ttlMs }) => {
        await backend.open(5_000); // after a rest
        const askedTtlMs = ttlMs === 0 ? null : ttlMs;
        const answer = await new Promise<RenewAnswer>((onAnswer, onFailure) =>
          backend.renew({ key, token, fence, askedTtlMs, onAnswer, onFailure }),
        );
        if (answer.outcome === "renewed") return { outcome: "renewed", ...(await validity(answer.expiresAtMs)) };
        if (answer.outcome === "lost") return answer;
        throw new Error(`it answered ${answer.outcome}`);
      },
      detach: async ({ key, token, fence, ttlMs }) => {
        const answer = await backend.detach({ key, token, fence, ttlMs });
        if (answer.outcome === "renewed") return { outcome: "renewed", ...(await validity(answer.expiresAtMs)) };
        if (answer.outcome === "lost") return answer;
        throw new Error(`it answered ${answer.outcome}`);
      },
      adopt: async ({ owner, ttlMs, maxHoldMs, ...request }) => {
        const terms = { owner, ttlMs, maxHoldMs: maxHoldMs ?? Number.POSITIVE_INFINITY };
        let answer = await backend.adopt({ ...request, terms });
        for (; answer.outcome === "busy"; answer = await backend.adopt({ ...request, terms })) await sleep(5);
        switch (answer.outcome) {
          case "adopted": {
            const { acquiredAtMs, maxHoldUntilMs, metadata, expiresAtMs, share } = answer;
            const asked = { mode: modeOf(share), capacity: share?.capacity ?? null, weight: share?.weight ?? 1 };
            modes.set(request.newToken, asked.mode);
            return {
              outcome: "adopted",
              ...asked,
              acquiredAtMs,
              maxHoldUntilMs,
              metadata,
              ...(await validity(expiresAtMs)),
            };
          }
          case "attached":
            return { outcome: "attached", holder: null };
          case "late":
            return { outcome: "late", nowMs: await serverMs() };
          case "lost":
            return answer;
          default:
            throw new Error(`it answered ${answer.outcome}`);
        }
      },
      check: async (key) => {
        const { state, mode, holders, acquiredAtMs, expiresAtMs, metadata, waiters } = await backend.check(key);
        const isOver = state === "expired" || state === "orphaned" || state === "free";
        return {
          state: state as KeyState["state"],
          mode: mode ?? "exclusive",
          holders: holders.map((holder) => toHolder(holder)),
          acquiredAtMs: state === "free" ? null : acquiredAtMs,
          freeAtMs: isOver ? null : expiresAtMs,
          nowMs: await serverMs(),
          metadata: holders.length > 0 ? metadata : null,
          waiters,
        };
      },
      ping: () => backend.ping(),
      close: () => backend.close(5_000),
      sweep: () => backend.sweep(0),
      forceRelease: async ({ key, fence, immediate }) => {
        const answer = await backend.forceRelease({ key, fence, isImmediate: immediate });
        if (answer.outcome === "busy") throw new Error("its row is locked");
        return {
          outcome: answer.outcome,
          freeAtMs: answer.freeAtMs,
          holders: answer.holders.map((holder) => toHolder(holder)),
        };
      },
      checkFence: async (resource, fence) => (await backend.checkFence(resource, fence)) as "passed" | "stale",
      rest: () => backend.rest(),
    };
    return store;
  };
}

function toHolder(holder: Holder): PortHolder;
function toHolder(holder: Holder | null): PortHolder | null;
function toHolder(holder: Holder | null): PortHolder | null {
  return (
    holder && { owner: holder.owner, fence: holder.fence, weight: holder.weight ?? 1, expiresAtMs: holder.expiresAtMs }
  );
}

/** Asks again while somebody has the row locked, as a locker does. */
async function untilFree(ask: () => Promise<ReleaseAnswer>): ReturnType<Store["release"]> {
  for (;;) {
    const { outcome, reason } = await ask();
    if (outcome !== "busy") return { outcome, reason };
    await sleep(5);
  }
}
