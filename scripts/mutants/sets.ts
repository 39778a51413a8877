// Faults in what takes several keys at once, or in their order.
import { type Mutant, one } from "./mutant.js";

const sql = "src/sql/leases/acquire_all.sql";
const side = "src/acquire/set-side.ts";
const set = "src/acquire/set-acquire.ts";
const keys = "src/config/set-keys.ts";
const heldSet = "src/hold/held-set.ts";
const atOnce = "test/sets/at-once.test.ts";
const direct = "test/sets/sql.test.ts";
const waiting = "test/sets/waiting.test.ts";
const lockSet = "test/sets/lock-set.test.ts";
const instances = "test/sets/instances.test.ts";
const shares = "test/sets/shares.test.ts";
const unit = "test/unit/set-acquire.test.ts";
const ends = "test/unit/set-ends.test.ts";
const routed = "test/unit/instances/sets.test.ts";

export const sets: readonly Mutant[] = [
  one(
    "set: a key is refused for the sake of a share that has ended, and that a transaction keeps",
    sql,
    [["is_busy := is_next and :only_ended_shares;", "is_busy := false;"]],
    direct,
  ),
  one(
    "set: what an attempt without an answer may have left is waited for without a bound",
    side,
    [["await this.#set.inTime(Promise.all(this.#leaving.splice(0)));", "await Promise.all(this.#leaving.splice(0));"]],
    unit,
  ),
  one(
    "set: each thing that is given back has a requestTimeoutMs of its own",
    set,
    [
      [
        "Math.min(Math.max(this.leftMs, this.#requestTimeoutMs), this.#lastMs, 2 ** 31 - 1)",
        "Math.min(Math.max(this.leftMs, this.#requestTimeoutMs), 2 ** 31 - 1)",
      ],
    ],
    unit,
  ),
  one(
    "set: what is given back stands until an attempt without an answer is over",
    side,
    [
      [
        "      if (claim.isCertain) {\n        this.#leave(lastWord);",
        "      if (true) {\n        this.#leave(lastWord);",
      ],
    ],
    unit,
  ),
  one(
    "set: nobody of this process is woken by what is freed early",
    "src/claim/claim.ts",
    [["      await this.abandon();\n      this.#context.queues.wakeKey(this.key);", "      await this.abandon();"]],
    unit,
  ),
  one(
    "set: one that is ended while its parts become locks is given to its caller",
    set,
    [["      this.refuseIfEnded(); // a lock that", "      // a lock that"]],
    ends,
  ),
  one(
    "set: a part that is lost while it becomes a lock is given to the caller",
    set,
    [["            this.partLost(lease.key); // this process has a newer grant", ""]],
    ends,
  ),
  one(
    "set: locks stay when one that follows has expired",
    set,
    [["for (const lease of side.complete()) {", "for (const lease of [...side.complete()]) {"]],
    ends,
  ),
  one(
    "set: one that was cancelled keeps the process alive until its request has ended",
    set,
    [["      this.#reject?.(error);\n      this.#endCall?.();", "      this.#reject?.(error);"]],
    ends,
  ),
  one(
    "set: each of its single tries has a requestTimeoutMs of its own",
    side,
    [["const timer = clock.startTimer(ms, () => {", "const timer = clock.startTimer(ms * 100, () => {"]],
    ends,
  ),
  one(
    "set: one that ends before its first answer is not counted",
    side,
    [["    this.#set.asked(claims[0] as Claim);\n", ""]],
    ends,
  ),
  one(
    "set: what a wait has failed with is explained twice",
    side,
    [["return error === this.#failure ? await", "return (error as boolean) ? await"]],
    ends,
  ),
  one(
    "set: over instances, a refusal is told by the first",
    set,
    [["    this.#initOf(key).toError(", "    this.#first.parts.init.toError("]],
    routed,
  ),
  one(
    "set: over instances, an outage is that of the first",
    set,
    [["this.#asking?.failed(error);", "this.#sides.get(this.#first.parts)?.failed(error);"]],
    routed,
  ),
  one(
    "set: over instances, an answer that is missing is explained by the first",
    set,
    [
      [
        "this.#asking === null ? error : await this.#asking.explained(error)",
        "this.#asking === null ? error : await explained(error, this.#first.parts.init.claims.backend)",
      ],
      ['import { isHopeless } from "../store/retry.js";', 'import { explained, isHopeless } from "../store/retry.js";'],
    ],
    routed,
  ),
  one(
    "last word: gives up at an error that passes",
    "src/claim/claim.ts",
    [["          if (mayPass && (", "          if (false && ("]],
    ends,
  ),
  one(
    "last word: is said again with a client that was ended",
    "src/claim/claim.ts",
    [
      [
        "const mayPass = !(error instanceof UnavailableError && isEnded(error));",
        "const mayPass = true || isEnded(error as UnavailableError);",
      ],
    ],
    ends,
  ),
  one(
    "set: it stands in line when its time is over",
    set,
    [["      if (this.leftMs <= 0) {\n        return inTheWay", "      if (false) {\n        return inTheWay"]],
    unit,
  ),
  one(
    "set: a session that does not come back is waited for without a bound",
    set,
    [["if (this.#lastMs === 0) {", "if (false) {"]],
    unit,
  ),
  one(
    "set: a try is granted what it can get",
    sql,
    [
      [
        "  if refused is not null then\n    size := case when p_takes_prefix then refused - 1 else 0 end;",
        "  if refused is not null then\n    size := refused - 1;",
      ],
    ],
    direct,
    atOnce,
  ),
  one(
    "set: the locked keys of a try are granted without the others",
    sql,
    [
      [
        "      is_busy := true;\n      size := case when p_takes_prefix then refused - 1 else 0 end;",
        "      is_busy := true;\n      size := refused - 1;",
      ],
    ],
    direct,
    atOnce,
  ),
  one(
    "set: a row that is locked is waited for",
    sql,
    [["           for update skip locked) l on l.key = w.key;", "           for update) l on l.key = w.key;"]],
    atOnce,
  ),
  one(
    "set: an insert waits for a stranger's transaction",
    sql,
    [
      [
        "       where pg_try_advisory_xact_lock(leasehold_internal._key_lock(n.key))\n",
        "       where pg_advisory_xact_lock(leasehold_internal._key_lock(n.key)) is not null\n",
      ],
    ],
    direct,
    atOnce,
  ),
  one(
    "set: a key that others wait for is passed",
    sql,
    [
      [
        "    if not (leasehold_internal._is_next(lease, doubtful.token) and leasehold_internal._may_be_grantable(lease)) then",
        "    if not leasehold_internal._may_be_grantable(lease) then",
      ],
      ["      is_next := leasehold_internal._is_next(lease, doubtful.token);", "      is_next := true;"],
    ],
    atOnce,
  ),
  one(
    "set: one that is late once it has the locks is granted",
    sql,
    [["  if size > 0 and leasehold_internal._ms(clock_timestamp()) >= p_not_after then", "  if false then"]],
    direct,
  ),
  one(
    "set: repeated, it is refused what its own tokens hold",
    sql,
    [
      [
        "    if lease.token = doubtful.token and lease.expires_at > clock_timestamp() and lease.revoked_at is null then\n      continue;",
        "    if false then\n      continue;",
      ],
    ],
    direct,
  ),
  one(
    "set: its commit does not wait for the disk",
    sql,
    [
      [
        "  elsif :is_commit_relaxed then\n    perform leasehold_internal._commit_durably();",
        "  elsif false then\n    perform leasehold_internal._commit_durably();",
      ],
    ],
    direct,
  ),
  one(
    "set: more than 100 new keys are inserted at once",
    sql,
    [["         limit 100) m;\n", "         limit 1000) m;\n"]],
    direct,
  ),
  one(
    "set: the order is that of JavaScript",
    keys,
    [["Buffer.compare(a.bytes, b.bytes)", "(a.item.key < b.item.key ? -1 : 1)"]],
    waiting,
  ),
  one(
    "set: the order is that of the call",
    keys,
    [["    .sort((a, b) => Buffer.compare(a.bytes, b.bytes))\n", ""]],
    unit,
    waiting,
  ),
  one(
    "set: it may wait for as long as it may be held",
    keys,
    [["&& waitMs >= maxHoldMs) {", "&& waitMs > maxHoldMs) {"]],
    atOnce,
  ),
  one(
    "set: keeps what it has of a try while it stands in line",
    set,
    [
      [
        "      await this.#giveBackInTime();\n      this.refuseIfEnded();\n      if (!this.terms.queues",
        "      this.refuseIfEnded();\n      if (!this.terms.queues",
      ],
    ],
    unit,
    instances,
  ),
  one(
    "set: goes on without a part that was lost",
    set,
    [["    this.#lostKey ??= key;\n    this.#interrupt.abort(LOST);", "    void key;"]],
    unit,
    waiting,
  ),
  one(
    "set: keeps its parts when one was lost, and begins again",
    set,
    [
      [
        "      allowManyListeners(this.#interrupt.signal);\n      await this.#giveBackInTime();\n",
        "      allowManyListeners(this.#interrupt.signal);\n",
      ],
    ],
    unit,
  ),
  one(
    "set: keeps what it has when it is ended",
    set,
    [
      ["      void this.#giveBack();\n      this.#reject?.(error);", "      this.#reject?.(error);"],
      ["      void this.#giveBack();\n      const isCancelled", "      const isCancelled"],
    ],
    unit,
    waiting,
  ),
  one(
    "set: keeps what it has when its time is over",
    set,
    [
      [
        '        await this.#giveBackInTime();\n        this.#tell("timed-out", null);',
        '        this.#tell("timed-out", null);',
      ],
    ],
    waiting,
    unit,
  ),
  one(
    "set: is whole before a new session has proven it",
    set,
    [['lease.phase === "held" && !lease.isHeld', 'lease.phase === "detached"']],
    unit,
  ),
  one("set: its parts are renewed only with keepAlive", side, [["      keepAlive: true,\n", ""]], waiting),
  one(
    "set: its parts are renewed at the caller's interval",
    side,
    [["Math.min(terms.renewEveryMs, Math.floor(terms.ttlMs / 3))", "terms.renewEveryMs"]],
    waiting,
  ),
  one(
    "set: a part that was renewed long ago is renewed late",
    side,
    [["holdings.hold(claim, grant, Math.max(0, ttlMs - msLeft))", "holdings.hold(claim, grant)"]],
    unit,
  ),
  one(
    "set: maxHoldMs counts from each key",
    side,
    [["        return set.leftHoldMs;\n", "        return terms.maxHoldMs;\n"]],
    waiting,
  ),
  one("set: a try does not ask again while a row is locked", side, [["(TRY_BUSY_MS[tries] ?? 0)", "0"]], unit),
  one(
    "set: a waiting set gives back with the minimum hold",
    side,
    [["      parts.drop(lease);\n", "      parts.drop(lease);\n      lease.claim.wasHeld = true;\n"]],
    atOnce,
    unit,
  ),
  one(
    "set: what an unanswered attempt may have got is left",
    side,
    [["      if (claim.isUnfinished) {\n", "      if (claim.isUnfinished && claim.isCertain) {\n"]],
    unit,
  ),
  one(
    "set: has the keys alone that it wants to share",
    side,
    [["if (acquireAll === null || share !== null) {", "if (acquireAll === null && share !== undefined) {"]],
    "test/sets/shares.test.ts",
  ),
  one(
    "set: users see its parts",
    "src/locker/parts.ts",
    [["  const parts = new Holdings({ ...keeping, observer: {} });", "  const parts = holdings;"]],
    waiting,
  ),
  one(
    "set: close forgets those that wait",
    "src/locker/lifecycle.ts",
    [["    sets.end(closed);\n", ""]],
    waiting,
    instances,
  ),
  one(
    "set: a release stops at one that was lost",
    heldSet,
    [["  async release(): Promise<void> {\n", "  async release(): Promise<void> {\n    this.assertHeld();\n"]],
    lockSet,
  ),
  one(
    "set: a release does not tell of a loss",
    heldSet,
    [["errors.filter((error) => !isReleased(error))", "errors.filter((error) => !(error instanceof NotHeldError))"]],
    lockSet,
  ),
  one(
    "set: its signal does not know of an earlier loss",
    heldSet,
    [["        if (signal.aborted) {\n", "        if (false as boolean) {\n"]],
    lockSet,
  ),
  one(
    "set: a transaction guards the first key alone",
    "src/guard/guard.ts",
    [["guard: selectAll(guards),", "guard: selectAll(guards.slice(0, 1)),"]],
    lockSet,
  ),
  one(
    "set: a stale transaction names the first key",
    "src/hold/guards.ts",
    [["const taken = leases.findIndex(isOthers);", "const taken = 0 * leases.findIndex(isOthers);"]],
    lockSet,
  ),
  one(
    "set: guards keys of several databases as if they were in one",
    "src/locker/sets.ts",
    [["  if (others.length > 0) {\n", "  if (others.length > 9) {\n"]],
    instances,
  ),
  one(
    "set: a body that asks again for one of its keys is not refused",
    "src/locker/sets.ts",
    [['terms.reentry === "throw" ? insideOfAll(set, body) : body', "body"]],
    lockSet,
  ),
  one(
    "set: shares of several keys are asked for one after the other",
    side,
    [["(sideBySide ? this.#askSideBySide(keys, signal)", "(sideBySide ? this.#askOneByOne(keys, signal)"]],
    shares,
  ),
  one(
    "set: of several shares that are refused the last one is counted",
    side,
    [["    if (refused !== null) {\n      this.#set.asked(", "    if (keys.length === 0) {\n      this.#set.asked("]],
    shares,
  ),
  one(
    "set: a part that has expired is lost anew while it is given back",
    side,
    [["    if (this.#leases.some((part) => part.lock === lock)) {", "    if (lock !== null) {"]],
    unit,
  ),
];
