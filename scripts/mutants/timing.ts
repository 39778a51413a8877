// Faults in the client's logic over time. The tests that notice them need no server, so each takes a few seconds.
import type { Mutant } from "./mutant.js";

/** What first attempts of one statement have in common. */
const terms = ["owner", "ttlMs", "minHoldMs", "maxHoldMs", "metadata.json", "queues", "share"];

const unit = (...names: string[]) => names.map((name) => `test/unit/${name}.test.ts`);

export const timing: readonly Mutant[] = [
  {
    name: "acquire: a silent first attempt does not time out",
    file: "src/acquire/acquires.ts",
    edits: [
      [
        "new Deadlines<Acquire>(init.claims.backend.clock, init.claims.requestTimeoutMs)",
        "new Deadlines<Acquire>(init.claims.backend.clock, Number.POSITIVE_INFINITY)",
      ],
    ],
    tests: unit("acquire"),
  },
  {
    name: "acquire: a late answer settles it again",
    file: "src/acquire/acquires.ts",
    edits: [
      [
        "    this.claim.take(answer);\n    if (!this.#context.firstAttempts.remove(this)) {",
        '    this.claim.take(answer);\n    if (!this.#context.firstAttempts.remove(this) && answer.outcome !== "granted") {',
      ],
    ],
    tests: unit("acquire", "simulation"),
  },
  {
    name: "acquire: no bound for the first attempts",
    file: "src/acquire/acquires.ts",
    edits: [[" && firstAttempts.size < MAX_FIRST_ATTEMPTS", ""]],
    tests: unit("acquire"),
  },
  {
    name: "acquire: a first attempt behind others of this process",
    file: "src/acquire/acquires.ts",
    edits: [["(queues.size > 0 && queues.has(this.key)) ||", "false ||"]],
    tests: unit("acquire"),
  },
  {
    name: "acquire: a first attempt for what this process holds, although the call waits",
    file: "src/acquire/acquires.ts",
    edits: [["share === null ? holdings.has(this.key)", "share === null ? false"]],
    tests: unit("acquire"),
  },
  {
    name: "acquire: no first attempt for what this process holds, although the call is a try",
    file: "src/acquire/acquires.ts",
    edits: [["(isQueued && (share", "((share"]],
    tests: unit("acquire"),
  },
  {
    name: "acquire: a late failure settles it again",
    file: "src/acquire/acquires.ts",
    edits: [
      [
        "this.deadline);\n    if (!this.#context.firstAttempts.remove(this)) {",
        "this.deadline);\n    if (!this.#context.firstAttempts.remove(this) && error === null) {",
      ],
    ],
    tests: unit("acquire", "simulation"),
  },
  {
    name: "acquire: a first attempt although the backend is not ready",
    file: "src/acquire/acquires.ts",
    edits: [["backend.isReady && ", ""]],
    tests: unit("acquire"),
  },
  {
    name: "deadlines: none is watched",
    file: "src/runtime/linked-list.ts",
    edits: [["    if (!this.#isArmed) {\n", "    if (this.#isArmed) {\n"]],
    tests: unit("runtime/timers", "acquire", "release"),
  },
  {
    name: "deadlines: only the first is watched",
    file: "src/runtime/linked-list.ts",
    edits: [["        this.#arm(first);\n", ""]],
    tests: unit("runtime/timers", "acquire"),
  },
  {
    name: "release: a silent one does not time out",
    file: "src/hold/holdings.ts",
    edits: [
      [
        "new Deadlines<Release>(backend.clock, requestTimeoutMs)",
        "new Deadlines<Release>(backend.clock, Number.POSITIVE_INFINITY)",
      ],
    ],
    tests: unit("release"),
  },
  {
    name: "release: a late answer settles it again",
    file: "src/hold/release.ts",
    edits: [
      [
        "if (!this.#context.deadlines.remove(this)) {\n      return;\n    }\n    if (answer",
        "this.#context.deadlines.remove(this);\n    if (answer",
      ],
    ],
    tests: unit("release"),
  },
  {
    name: "claim: a lost attempt leaves no doubt",
    file: "src/claim/claim.ts",
    edits: [["return this.#unanswered === 0 && this.#unresolvedUntil === null;", "return this.#unanswered === 0;"]],
    tests: unit("acquire", "simulation"),
  },
  {
    name: "claim: an attempt that was sent is not counted",
    file: "src/claim/claim.ts",
    edits: [
      ["    this.#unanswered += 1;\n", ""],
      ["    this.#unanswered -= 1;\n", ""],
    ],
    tests: unit("acquire", "simulation"),
  },
  {
    name: "claim: an attempt that was answered stays counted",
    file: "src/claim/claim.ts",
    edits: [["    this.#unanswered -= 1;\n", ""]],
    tests: unit("acquire"),
  },
  {
    name: "acquire: no last word after a cancelled call",
    file: "src/acquire/acquires.ts",
    edits: [
      [
        '    this.#ended("cancelled", null, error);\n    this.#cleanUp();',
        '    this.#ended("cancelled", null, error);',
      ],
    ],
    tests: unit("acquire", "simulation"),
  },
  {
    name: "acquire: an expired grant is a lock",
    file: "src/hold/holdings.ts",
    edits: [
      ["if (msLeft <= 0) {\n      throw expired", "if (msLeft <= Number.NEGATIVE_INFINITY) {\n      throw expired"],
    ],
    tests: unit("acquire"),
  },
  {
    name: "last word: before the attempts have ended",
    file: "src/claim/claim.ts",
    edits: [["      await this.attemptsEnded();\n", ""]],
    tests: unit("acquire", "simulation"),
  },
  {
    name: "last word: a lost attempt counts as ended",
    file: "src/claim/claim.ts",
    edits: [['(error instanceof UnavailableError && error.outcome === "unknown")', "false"]],
    tests: unit("acquire"),
  },
  {
    name: "last word: a busy row is left",
    file: "src/claim/claim.ts",
    edits: [['return answer.outcome === "busy" ? undefined : answer;', "return answer;"]],
    tests: unit("release"),
  },
  {
    name: "last word: as if no renewal had asked for more",
    file: "src/claim/claim.ts",
    edits: [["Math.max(this.#longestTtlMs, ttlMs)", "this.#longestTtlMs"]],
    tests: unit("renewals"),
  },
  {
    name: "hand-over: the next waiter looks when the release is answered",
    file: "src/hold/release.ts",
    edits: [["const looks = this.#context.handOver.releaseSent(this.key);", "const looks: string | null = null;"]],
    tests: unit("hand-over"),
  },
  {
    name: "hand-over: nobody is woken by the answer once the release was sent",
    file: "src/hold/release.ts",
    edits: [['this.#isWakeSent = looks === "here";', "this.#isWakeSent = true;"]],
    tests: unit("hand-over"),
  },
  {
    name: "hand-over: the answer wakes another, though the release did already",
    file: "src/acquire/local-queues.ts",
    edits: [["if (!hasLooked && isNextOurs !== false) {", "if (isNextOurs !== false) {"]],
    tests: unit("hand-over"),
  },
  {
    name: "hand-over: an early look although another process is next",
    file: "src/acquire/local-queues.ts",
    edits: [["if (queue.isBehindOthers) {", "if (false) {"]],
    tests: unit("hand-over"),
  },
  {
    name: "hand-over: behind another process once, behind it for ever",
    file: "src/acquire/local-queues.ts",
    edits: [["queue.isBehindOthers = !isNextOurs;", "queue.isBehindOthers ||= !isNextOurs;"]],
    tests: unit("hand-over"),
  },
  {
    name: "hand-over: the answer wakes one of ours although another process is next",
    file: "src/acquire/local-queues.ts",
    edits: [["if (!hasLooked && isNextOurs !== false) {", "if (!hasLooked) {"]],
    tests: unit("hand-over"),
  },
  {
    name: "hand-over: whoever is next is one of ours",
    file: "src/postgres/acts/release.ts",
    edits: [["next !== null && next === ours", "next !== null"]],
    tests: unit("postgres/give-back"),
  },
  {
    name: "hand-over: whom a release woke that has to be tried again is not woken once more",
    file: "src/hold/release.ts",
    edits: [
      [
        "  async #tryAgain(failure: UnavailableError | null, isRepeated: boolean): Promise<void> {\n    this.#isWakeSent = false;\n",
        "  async #tryAgain(failure: UnavailableError | null, isRepeated: boolean): Promise<void> {\n",
      ],
    ],
    tests: unit("hand-over"),
  },
  {
    name: "hand-over: nobody is woken by a release that fails",
    file: "src/hold/release.ts",
    edits: [["  #fail(error: unknown): void {\n    this.#isWakeSent = false;\n", "  #fail(error: unknown): void {\n"]],
    tests: unit("hand-over"),
  },
  {
    name: "hand-over: as if every connection kept the order",
    file: "src/postgres/acts/release.ts",
    edits: [["const told = keepsOrder ?", "const told = keepsOrder !== null ?"]],
    tests: unit("postgres/give-back"),
  },
  {
    name: "hand-over: another process that is next is told only once the release is answered",
    file: "src/hold/release.ts",
    edits: [['return looks === "elsewhere";', "return false;"]],
    tests: unit("hand-over"),
  },
  {
    name: "hand-over: another process that is next is told twice",
    file: "src/postgres/acts/release.ts",
    edits: [[" && !told.includes(key)", ""]],
    tests: unit("postgres/give-back"),
  },
  {
    name: "hand-over: a wake-up during a look is lost",
    file: "src/acquire/local-queues.ts",
    edits: [["    wait.isWoken = true;\n", ""]],
    tests: unit("hand-over"),
  },
  {
    name: "hand-over: whoever comes first after one that gave up waits for its poll",
    file: "src/acquire/local-queues.ts",
    edits: [["        this.#promote(queue.first);\n", ""]],
    tests: unit("hand-over"),
  },
  {
    name: "release: by the fence, though an attempt was lost",
    file: "src/hold/release.ts",
    edits: [["if (claim.isCertain) {", "if (claim.token !== null) {"]],
    tests: unit("acquire"),
  },
  {
    name: "release: whatever is gone was lost",
    file: "src/hold/release.ts",
    edits: [['outcome === "gone" && !isRepeated && !lease', 'outcome === "gone" && !lease']],
    tests: unit("release"),
  },
  {
    name: "release: close does not wait for it",
    file: "src/hold/release.ts",
    edits: [
      ["    this.#context.background.beginCall();\n", ""],
      ["    this.#context.background.endCall();\n", ""],
    ],
    tests: unit("release"),
  },
  {
    name: "process: it ends while a call is awaited",
    file: "src/runtime/activity.ts",
    edits: [["      this.#hold.ref();\n", "      this.#hold.unref();\n"]],
    tests: ["test/api/process-end.test.ts"],
  },
  {
    name: "process: a release is none of the calls that it waits for",
    file: "src/hold/release.ts",
    edits: [
      ["    this.#context.background.beginCall();\n", "    this.#context.background.begin();\n"],
      ["    this.#context.background.endCall();\n", "    this.#context.background.end();\n"],
    ],
    tests: ["test/api/process-end.test.ts"],
  },
  {
    name: "process: each attempt to connect looks the name up anew",
    file: "src/postgres/connection/dial.ts",
    edits: [
      ["    lookups.delete(asked);\n", ""],
      ["  lookups.set(asked, all);\n", ""],
    ],
    tests: ["test/connections/lookup.test.ts"],
  },
  {
    name: "close: again from a signal's listener, it closes twice",
    file: "src/locker/calls.ts",
    edits: [["      end(this.#activity", "      this.#closing = null;\n      end(this.#activity"]],
    tests: ["test/api/close.test.ts"],
  },
  {
    name: "renew: groups of a batch are made one after the other",
    file: "src/postgres/acts/renew.ts",
    edits: [
      [
        "    for (const { ttlMs, alike } of groups) {\n",
        "    for (const { ttlMs } of groups) {\n      const alike = items.filter(({ askedTtlMs }) => askedTtlMs === ttlMs);\n",
      ],
    ],
    tests: unit("postgres/renew-act"),
  },
  {
    name: "process: a locker's connections keep it alive",
    file: "src/postgres/connection/connections.ts",
    edits: [["keepsProcess: false", "keepsProcess: true"]],
    tests: ["test/api/process-end.test.ts"],
  },
  {
    name: "lease: an answer shortens it",
    file: "src/hold/lease.ts",
    edits: [
      [
        "if (this.#clock.msUntil(proof.until) > this.#clock.msUntil(this.#until)) {",
        "if (proof.until !== this.#until) {",
      ],
    ],
    tests: unit("renewals"),
  },
  {
    name: "lease: nothing fires when it expires",
    file: "src/hold/holdings.ts",
    edits: [["    this.#expiries.watch(lease, at.monotonicMs, msLeft);\n", ""]],
    tests: unit("lease"),
  },
  {
    name: "lease: every deadline has its own look",
    file: "src/hold/expiries.ts",
    edits: [["Math.max(leastMs - NEAR_MS, NEAR_MS / 2)", "leastMs - NEAR_MS"]],
    tests: unit("lease"),
  },
  {
    name: "renewals: none comes along",
    file: "src/hold/renewals.ts",
    edits: [["(renewal.everyMs ?? 0) / 2;", "0;"]],
    tests: unit("renewals"),
  },
  {
    name: "renew: a row that stays locked is told as a lock that was released",
    file: "src/hold/renewals.ts",
    edits: [["failure ?? notRenewed(key)", 'failure ?? lease.notHeld("it was released")']],
    tests: [...unit("hold/renewals-ended"), "test/exclusion/strangers.test.ts"],
  },
  {
    name: "loss: what is lost on its arrival is told before it was acquired",
    file: "src/hold/holdings.ts",
    edits: [["if (lease === this.#newest) {", "if (false) {"]],
    tests: unit("hold/holdings"),
  },
  {
    name: "holder: what a set holds that is not whole is somebody else's",
    file: "src/hold/holdings.ts",
    edits: [["return this.#parts?.isOurs(key, fence, sessionId) ?? false;", "return false;"]],
    tests: unit("hold/holdings"),
  },
  {
    name: "timeout: what a set holds that is not whole is not held here",
    file: "src/locker/parts.ts",
    edits: [["holdings.has(key) || parts.has(key)", "holdings.has(key)"]],
    tests: unit("hold/holdings"),
  },
  {
    name: "renewals: a second one is sent while one is on its way",
    file: "src/hold/renewals.ts",
    edits: [["renewal.isInFlight || renewal.isPaused", "renewal.isPaused"]],
    tests: unit("renewals"),
  },
  {
    name: "renewals: what is asked for during a renewal is dropped",
    file: "src/hold/renewals.ts",
    edits: [
      [
        "if (renewal.dueAtMs !== Number.POSITIVE_INFINITY) {\n        // Asked",
        "if (renewal.dueAtMs === null) {\n        // Asked",
      ],
    ],
    tests: unit("renewals"),
  },
  {
    name: "batch: a bad item fails the others",
    file: "src/postgres/acts/acts.ts",
    edits: [['trouble === "item" && items.length > 1', 'trouble === "item" && items.length > 1_000_000']],
    tests: unit("postgres/batch"),
  },
  {
    name: "batch: two statements in flight",
    file: "src/postgres/acts/acts.ts",
    edits: [["        await send(items);\n", "        void send(items);\n"]],
    tests: unit("postgres/batch"),
  },
  {
    name: "looks: of whoever has a ticket, behind those that join",
    file: "src/postgres/acts/acquire.ts",
    edits: [["ticket === null ? [this.#shareJoins, this.#joins] :", "false ? [this.#shareJoins, this.#joins] :"]],
    tests: unit("postgres/acquire-act"),
  },
  {
    name: "looks: a careful one goes like any other",
    file: "src/postgres/acts/acquire.ts",
    edits: [["looks.length === 1 && !isCareful", "looks.length === 1"]],
    tests: unit("postgres/acquire-act"),
  },
  {
    name: "open: everybody who waits for it checks by itself",
    file: "src/postgres/postgres-backend.ts",
    edits: [["this.#checking ??= this.#check(", "this.#checking = this.#check("]],
    tests: ["test/waiting/order.test.ts"],
  },
  {
    name: "first attempts: one statement for all terms",
    file: "src/postgres/acts/batches-by-sort.ts",
    edits: [["let batch = this.#batches.get(sort);", "let batch = [...this.#batches.values()][0];"]],
    tests: unit("postgres/acquire-act"),
  },
  ...terms.map(
    (term): Mutant => ({
      name: `first attempts: one sort, whatever their ${term}`,
      file: "src/config/resolve-options.ts",
      edits: [
        [
          "return JSON.stringify([owner, ttlMs, minHoldMs, maxHoldMs, metadata.json, queues, share]);",
          `return JSON.stringify([${terms.filter((other) => other !== term).join(", ")}]);`,
        ],
      ],
      tests: unit("options/acquire-options"),
    }),
  ),
  {
    name: "first attempts: what is left is answered with what was granted",
    file: "src/postgres/acts/acquire-answers.ts",
    edits: [['if (fence !== undefined && fence !== "") {', "if (fence !== undefined) {"]],
    tests: unit("postgres/acquire-act"),
  },
  {
    name: "first attempts: a grant that may not have reached its standby counts",
    file: "src/postgres/acts/acts.ts",
    edits: [["if (this.connections.unconfirmedCommits !== unconfirmedCommits) {", "if (unconfirmedCommits < 0) {"]],
    tests: unit("postgres/acquire-act"),
  },
  {
    name: "turns: none is passed on",
    file: "src/acquire/turns.ts",
    edits: [["      this.#passOn();\n", ""]],
    tests: unit("acquire/turns"),
  },
  {
    name: "retry: a refusal is asked again",
    file: "src/store/retry.ts",
    edits: [["if (isHopeless(failure) || options.giveUp?.(failure)) {", "if (failure === null) {"]],
    tests: unit("runtime/retry"),
  },
  {
    name: "idle: connections are given back while something goes on",
    file: "src/runtime/activity.ts",
    edits: [["    if (this.#count > 0) {\n      return;\n    }\n", ""]],
    tests: unit("runtime/timers", "idle"),
  },
];
