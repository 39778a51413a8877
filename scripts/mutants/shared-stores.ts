// Faults in shared keys on this side of SQL: the store in memory, the adapter of stores, and what the locker knows of its own shares.
import type { Mutant } from "./mutant.js";

const rules = ["test/unit/memory/memory-shares.test.ts"];
const adapter = ["test/unit/store/shares.test.ts"];
const queues = ["test/unit/acquire/local-queues.test.ts"];
const holdings = ["test/unit/hold/shares.test.ts"];

const of =
  (what: string, file: string, tests: readonly string[]) =>
  (name: string, edits: Mutant["edits"]): Mutant => ({ name: `shares, ${what}: ${name}`, file, edits, tests });

const leases = of("memory", "src/memory/memory-leases.ts", rules);
const grants = of("memory", "src/memory/memory-grants.ts", rules);
const line = of("memory", "src/memory/memory-line.ts", rules);
const shares = of("memory", "src/memory/memory-shares.ts", rules);
const state = of("memory", "src/memory/memory-state.ts", rules);
const backend = of("adapter", "src/store/store-backend.ts", adapter);
const answers = of("adapter", "src/store/answers.ts", adapter);
const here = of("here", "src/acquire/local-queues.ts", queues);
const held = of("here", "src/hold/holdings.ts", holdings);

export const sharedStores: readonly Mutant[] = [
  leases("an exclusive lock is granted beside readers", [
    ["(shares === undefined || shares.load(nowMs).count === 0) && isNext", "isNext"],
  ]),
  leases("what was taken by force, or cools, is given back to its token", [
    ["    if (shares?.isKeptBy(token, nowMs)) {\n      return false;\n    }\n", ""],
  ]),
  leases("those who fit are not told when a lease has ended by itself", [
    ["      this.#wakeNext(key); // nobody has let go of anything, and so told them\n", ""],
  ]),
  leases("a grant never says that others fit, too", [
    ["const hasMore = firstFits(load, this.#queues.of(key), nowMs);", "const hasMore = false;"],
  ]),
  leases("a dead process's shares last until they expire", [["    this.#grants.processDied();\n", ""]]),
  grants("an exclusive lock that has expired stays beside the share that takes it over", [
    ["    delete this.#alone[key];\n    let shares", "    let shares"],
  ]),
  grants("the end of a minimum hold is noticed only when the share would have expired", [
    ["    this.shares(key)?.mayEndAt(lease.minHoldUntilMs);\n", ""],
  ]),
  line("a share passes an exclusive one that waits", [
    ['if (waiter.asked.mode === "exclusive" || !isWithin(sum)) {', "if (!isWithin(sum)) {"],
  ]),
  line("what waits ahead takes nothing", [["    sum = plus(sum, waiter.asked);\n  }\n  return", "  }\n  return"]]),
  line("those behind it count, too", [["waiter.ticket >= place", "waiter.ticket > place + 1_000n"]]),
  line("the capacity of the asker alone counts", [
    [
      "capacity: Math.min(capacity, asked.capacity ?? Number.POSITIVE_INFINITY),",
      "capacity: asked.capacity ?? capacity,",
    ],
  ]),
  line("each counts as one", [["taken: taken + asked.weight,", "taken: taken + 1,"]]),
  line("one process is woken at most", [
    ["    next.add(process);\n  }\n  return next;", "    next.add(process);\n    break;\n  }\n  return next;"],
  ]),
  line("a writer is woken by each reader that lets go", [
    ["      if (sum.count === 0) {\n", "      if (sum.count >= 0) {\n"],
  ]),
  shares("the capacity of one that is gone goes on to count", [
    ["    if (this.#capacity === capacity) {\n      this.#capacity = null;\n    }\n", ""],
  ]),
  shares("a share that ends early is not noticed", [
    ["    this.mayEndAt(freeAtMs(share));\n    this.#taken", "    this.#taken"],
  ]),
  shares("what only its minimum hold keeps takes nothing", [
    ["return this.#sum((share) => !isGrantable(share, nowMs));", "return this.held(nowMs);"],
  ]),
  shares("a share that was let go in time is taken over", [
    ["lapsed = share.isReleased ? lapsed : share;", "lapsed = share;"],
  ]),
  shares("an adopted share is the newest", [
    [
      "other === share ? this.#byToken.set(next.token, next) : this.#byToken.set(token, other);\n    }\n",
      "if (other !== share) this.#byToken.set(token, other);\n    }\n    this.#byToken.set(next.token, next);\n",
    ],
  ]),
  state("a writer looks again when the first reader has ended", [
    ['(mode === "exclusive" ? Math.max : Math.min)(lookAtMs, endMs)', "Math.min(lookAtMs, endMs)"],
  ]),
  state("a key is free when its first holder is gone", [
    [
      "freeAtMs: isOver ? null : Math.max(...kept.map(freeAtMs)),",
      "freeAtMs: isOver ? null : Math.min(...kept.map(freeAtMs)),",
    ],
  ]),
  backend("a store that cannot share keys is asked for a share", [
    [
      '    if (this.#has("shared-locks")) {\n      return null;\n    }\n',
      "    if (true) {\n      return null;\n    }\n",
    ],
  ]),
  backend("each release of a share lets the next one here look, also where the store wakes", [
    ['const isTold = isShared && this.#has("wake-ups");', "const isTold = false;"],
  ]),
  answers("every share is asked for as exclusive", [["mode: modeOf(share),", "mode: modeOf(null),"]]),
  answers("nobody looks after a grant that leaves room", [
    ["hasMore: isShared && answer.hasMore !== false,", "hasMore: isShared && answer.hasMore === true,"],
  ]),
  answers("somebody looks after each grant, whatever the store says", [
    ["hasMore: isShared && answer.hasMore !== false,", "hasMore: isShared,"],
  ]),
  here("readers are woken behind a writer", [["behind?.isReader === true && left > 0", "behind !== null && left > 0"]]),
  here("a release does not wake one more part of a semaphore while the first looks", [
    ["  } else if (next.isShared && isLooking) {\n", "  } else if (false) {\n"],
  ]),
  held("get knows no shares", [["    yield* this.#shares[key] ?? [];\n", ""]]),
  held("an exclusive grant leaves older shares as they are", [
    ["if (isAlone || lease.claim.wasHeld) {", "if (lease.claim.wasHeld) {"],
  ]),
  held("a share ends the others", [
    ["if (isAlone || lease.claim.wasHeld) {", "{"],
    ["if (isAlone || share.fence === fence) {", "{"],
  ]),
  {
    name: "shares, here: a share that comes back by adoption leaves its old handle",
    file: "src/hold/holdings.ts",
    edits: [["if (isAlone || lease.claim.wasHeld) {", "if (isAlone) {"]],
    tests: ["test/unit/adopt.test.ts"],
  },
  held("a share that was let go is still told of", [
    ["    if (shares?.delete(lease) && shares.size === 0) {\n      delete this.#shares[lease.key];\n    }\n", ""],
  ]),
  {
    name: "shares, here: a wait for an upgrade is not told that there is none",
    file: "src/locker/parts.ts",
    edits: [["share === null && !hasAlone(key)", "share !== null && !hasAlone(key)"]],
    tests: holdings,
  },
  {
    name: "shares, here: reentry is found under the oldest share alone",
    file: "src/hold/holdings.ts",
    edits: [["      yield lock;\n    }", "      yield lock;\n      return;\n    }"]],
    tests: holdings,
  },
  {
    name: "shares, messages: every lock is said to be exclusive",
    file: "src/observe/hooks/publisher.ts",
    edits: [["mode: modeOf(terms.share),", 'mode: "exclusive",']],
    tests: ["test/inspect/hooks.test.ts"],
  },
  {
    name: "shares: who obeys a release by force has lost its share",
    file: "src/sql/shares/_free_shares.sql",
    edits: [["share.released_at is not null or share.expires_at <= clock_timestamp()", "true"]],
    tests: ["test/stores/postgres.test.ts"],
  },
  {
    name: "shares, adapter: an adopted share is exclusive",
    file: "src/store/answers.ts",
    edits: [["        share: toShare(answer),", "        share: null,"]],
    tests: ["test/testing/shares.test.ts"],
  },
];
