import type { AcquireRequest } from "../api/store.js";
import type { MemoryProcess } from "./memory-process.js";
import type { MemoryQueue } from "./memory-queue.js";
import type { Load } from "./memory-shares.js";

// Who of a queue may be granted a key (decision 27), given what takes of it already.

type Asked = Pick<AcquireRequest, "mode" | "capacity" | "weight">;

/** `place`: its ticket; null: it stands behind the whole queue. */
export function isNext(queue: MemoryQueue | undefined, token: string, place: bigint | null, nowMs: number): boolean {
  const head = queue?.head(nowMs);
  return head === undefined || head.token === token || (place !== null && place < head.ticket);
}

/** Whether a share fits beside what is held and those that wait ahead of it, none of whom wants the key alone. */
export function fits(
  asked: Asked,
  load: Load,
  queue: MemoryQueue | undefined,
  place: bigint | null,
  nowMs: number,
): boolean {
  let sum = load;
  for (const waiter of queue?.waiting(nowMs) ?? []) {
    if (place !== null && waiter.ticket >= place) {
      break;
    }
    if (waiter.asked.mode === "exclusive" || !isWithin(sum)) {
      return false;
    }
    sum = plus(sum, waiter.asked);
  }
  return isWithin(plus(sum, asked));
}

/** Whether whoever is first may share the key beside what is held. */
export function firstFits(load: Load, queue: MemoryQueue | undefined, nowMs: number): boolean {
  const head = queue?.head(nowMs);
  return head !== undefined && head.asked.mode !== "exclusive" && isWithin(plus(load, head.asked));
}

/** The processes of those that may be granted the key now: who is next or, where it may be shared, all that fit. Each once. */
export function nextProcesses(load: Load, queue: MemoryQueue, nowMs: number): Set<MemoryProcess> {
  const next = new Set<MemoryProcess>();
  let sum = load;
  for (const { asked, process } of queue.waiting(nowMs)) {
    if (asked.mode === "exclusive") {
      if (sum.count === 0) {
        next.add(process);
      }
      break;
    }
    sum = plus(sum, asked);
    if (!isWithin(sum)) {
      break;
    }
    next.add(process);
  }
  return next;
}

function plus({ count, taken, capacity }: Load, asked: Asked): Load {
  return {
    count: count + 1,
    taken: taken + asked.weight,
    capacity: Math.min(capacity, asked.capacity ?? Number.POSITIVE_INFINITY),
  };
}

function isWithin({ taken, capacity }: Load): boolean {
  return taken <= capacity;
}
