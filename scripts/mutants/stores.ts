// Faults in the stores that come with the package, and in the tests of every store.
import type { Mutant } from "./mutant.js";

const rules = ["test/unit/memory/memory-leases.test.ts"];
const queue = ["test/unit/memory/memory-queue.test.ts"];
const conformance = ["test/stores/conformance.test.ts"];

const leases = (name: string, edits: Mutant["edits"], tests = rules): Mutant => ({
  name: `memory: ${name}`,
  file: "src/memory/memory-leases.ts",
  edits,
  tests,
});
const lease = (name: string, edits: Mutant["edits"]): Mutant => ({
  name: `memory: ${name}`,
  file: "src/memory/memory-lease.ts",
  edits,
  tests: rules,
});
const line = (name: string, edits: Mutant["edits"], tests: readonly string[]): Mutant => ({
  name: `memory: ${name}`,
  file: "src/memory/memory-line.ts",
  edits,
  tests,
});
const entries = (name: string, edits: Mutant["edits"]): Mutant => ({
  name: `memory queue: ${name}`,
  file: "src/memory/memory-queue.ts",
  edits,
  tests: queue,
});

export const stores: readonly Mutant[] = [
  leases("an acquire at notAfterMs is granted", [
    ["if (nowMs >= request.notAfterMs)", "if (nowMs > request.notAfterMs)"],
  ]),
  leases("a revoked grant is given back to its token", [
    ["!own.isReleased && !own.isRevoked && !isGrantable", "!own.isReleased && !isGrantable"],
  ]),
  leases("a fence counts for its key alone", [
    ["    this.#fence += 1n;\n", "    this.#fence = (this.#grants.alone(key)?.fence ?? 0n) + 1n;\n"],
  ]),
  leases("a renewal shortens", [
    [
      "Math.max(lease.expiresAtMs, atMost(nowMs + ttlMs, lease.maxHoldUntilMs))",
      "atMost(nowMs + ttlMs, lease.maxHoldUntilMs)",
    ],
  ]),
  leases("a renewal goes beyond the maximum hold", [
    [
      "Math.max(lease.expiresAtMs, atMost(nowMs + ttlMs, lease.maxHoldUntilMs))",
      "Math.max(lease.expiresAtMs, nowMs + ttlMs)",
    ],
  ]),
  lease("a grant goes beyond the maximum hold", [
    ["expiresAtMs: atMost(nowMs + ttlMs, maxHoldUntilMs),", "expiresAtMs: nowMs + ttlMs,"],
  ]),
  leases("the minimum hold of a call that never had its lock counts", [
    ["if (isInTime && minHoldCounts &&", "if (isInTime &&"],
  ]),
  leases("the minimum hold of a lease that has expired counts", [
    ["if (isInTime && minHoldCounts &&", "if (minHoldCounts &&"],
  ]),
  leases("whoever releases after a revocation has lost", [
    ["const isInTime = nowMs < lease.expiresAtMs;", "const isInTime = lossReason(lease, nowMs) === null;"],
  ]),
  leases("a renewal by another process leaves the lease to the dead one", [
    [
      "if (lease.process !== process && lease.process.diedAtMs !== null) {",
      "if (lease.process === process && lease.process.diedAtMs !== null) {",
    ],
  ]),
  leases("a renewal by another process takes the lease from the one that lives", [
    ["if (lease.process !== process && lease.process.diedAtMs !== null) {", "if (lease.process !== process) {"],
  ]),
  {
    name: "memory: a dead process stays in the queue",
    file: "src/memory/memory-queues.ts",
    edits: [["      queue.leaveAll(process);\n", ""]],
    tests: rules,
  },
  leases("those who wait behind a dead process are not told", [["      this.#wakeNext(key, true);\n", ""]]),
  leases("why a grant was ended is forgotten", [["      this.#ended.set(token, reason);\n", ""]]),
  leases("what was ended is remembered for ever", [["if (this.#ended.size <= REMEMBERED) break;", "break;"]]),
  leases("a fault ends a minimum hold", [
    [
      "      if (!lease.isReleased) {\n        this.#end(key, lease, reason);",
      "      if (true) {\n        this.#end(key, lease, reason);",
    ],
  ]),
  leases("an expired lease is swept at once", [
    ["this.#grants.sweep(nowMs, GRACE_MS)", "this.#grants.sweep(nowMs, 0)"],
  ]),
  line(
    "a try passes those who wait",
    [
      [
        "return head === undefined || head.token === token ||",
        "return head === undefined || place === null || head.token === token ||",
      ],
    ],
    queue,
  ),
  line(
    "whoever comes back with the lowest ticket is not next",
    [[" || (place !== null && place < head.ticket)", ""]],
    queue,
  ),
  leases("nobody is woken", [["      soon(() => process.wake(key));\n", ""]], queue),
  leases(
    "the next one is woken before the call has returned",
    [["soon(() => process.wake(key));", "process.wake(key);"]],
    queue,
  ),
  leases(
    "whoever leaves the queue of a held key wakes the next one",
    [["if (hasLeft && (alone === undefined || isGrantable(alone, this.nowMs()))) {", "if (hasLeft) {"]],
    queue,
  ),
  leases(
    "an entry that has expired keeps its place",
    [["    queue?.head(nowMs); // entries that have expired keep no place\n", ""]],
    conformance,
  ),
  lease("a lease lasts for one more millisecond", [
    [
      "return isReleased ? nowMs >= minHoldUntilMs : nowMs >= expiresAtMs ||",
      "return isReleased ? nowMs >= minHoldUntilMs : nowMs > expiresAtMs ||",
    ],
  ]),
  lease("a renewal at the expiry revives", [
    ["return nowMs < lease.expiresAtMs ? null :", "return nowMs <= lease.expiresAtMs ? null :"],
  ]),
  lease("the death of a process frees nothing", [[" || nowMs >= process.orphanedAtMs;", ";"]]),
  lease("who had the key in its minimum hold is not shown as its end", [
    ["expiresAtMs: isReleased ? minHoldUntilMs : expiresAtMs", "expiresAtMs"],
  ]),
  entries("an entry lasts for ever", [["const ENTRY_MS = 3_000;", "const ENTRY_MS = 3_000_000;"]]),
  entries("whoever comes back is last", [[".ticket > ticket) {", ".ticket > ticket && at < 0) {"]]),
  entries("whoever was swept and comes back is taken for the one that has left", [
    ["      if (!entry.hasLeft) {\n        this.#remove(entry);\n      }", "      this.#remove(entry);"],
  ]),
  entries("whoever stays is forgotten", [["filter(({ hasLeft }) => !hasLeft)", "filter(({ hasLeft }) => hasLeft)"]]),
  {
    name: "memory: the delay of the one who takes over counts",
    file: "src/memory/memory-store.ts",
    edits: [
      [
        "this.orphanedAtMs = this.diedAtMs + this.#context.takeoverDelayMs;",
        "this.orphanedAtMs = this.diedAtMs + 60_000;",
      ],
    ],
    tests: rules,
  },
  {
    name: "memory: a dead process believes in its locks",
    file: "src/memory/memory-store.ts",
    edits: [["    this.#context.onReconnected(); // it does not believe in its locks any more\n", ""]],
    tests: rules,
  },
  {
    name: "noop: it warns each time",
    file: "src/memory/noop-store.ts",
    edits: [["      warned.isDone = true;\n", ""]],
    tests: ["test/unit/memory/noop-store.test.ts"],
  },
  {
    name: "noop: of several locks on one key the older ones are lost",
    file: "src/hold/holdings.ts",
    edits: [["if (this.#backend.excludes) {", "if (this.#backend.excludes !== undefined) {"]],
    tests: ["test/stores/noop.test.ts"],
  },
  {
    name: "noop: when the newest lock is released, the older ones cannot be reached",
    file: "src/hold/holdings.ts",
    edits: [["        this.#findNewest(lease.key);\n", ""]],
    tests: ["test/stores/noop.test.ts"],
  },
  {
    name: "conformance: no test is run",
    file: "src/testing/conformance/store-conformance.ts",
    edits: [["if (applies(one)) {", "if (!applies(one)) {"]],
    tests: conformance,
  },
  {
    name: "conformance: what fails in the background is overlooked",
    file: "src/testing/conformance/process.ts",
    edits: [["onError: (error) => void this.errors.push(error),", "onError: () => undefined,"]],
    tests: conformance,
  },
  {
    name: "conformance: a store that cannot be closed hides what was found",
    file: "src/testing/conformance/store-conformance.ts",
    edits: [["Promise.allSettled(processes", "Promise.all(processes"]],
    tests: conformance,
  },
  {
    name: "testing: fake timers keep whoever is next from being woken",
    file: "src/runtime/soon.ts",
    edits: [["void resolved.then(callback);", "queueMicrotask(callback);"]],
    tests: ["test/testing/test-locker.test.ts"],
  },
];
