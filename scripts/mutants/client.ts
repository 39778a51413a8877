// Faults in what a client believes, and in what it sends.
//
// Not here, because they change nothing that could be seen:
// - a heartbeat of the last session counts for this one (presence.ts): the old connection is closed before a new one is made,
//   and a closed one answers nothing;
// - a lost lease takes an answer (`prove` in lease.ts): what is lost stays lost whatever its deadline is.
import type { Mutant } from "./mutant.js";

const libraries = ["test/transactions/libraries.test.ts"];

export const client: readonly Mutant[] = [
  {
    name: "errors: one is made without what identifies it",
    file: "src/errors/base.ts",
    edits: [['if (typeof value === "string") return data;', "if (value !== null) return data;"]],
    tests: ["test/unit/errors.test.ts"],
  },
  {
    name: "belief: without the bound of the heartbeat",
    file: "src/postgres/session/presence.ts",
    edits: [
      [
        "return takeoverDelayMs === 0 || (this.#seenSince !== null && !isPast(after(this.#seenSince, ms)));",
        "return true;",
      ],
    ],
    tests: ["test/presence/blocked-loop.test.ts"],
  },
  {
    name: "belief: from the answer of the heartbeat on",
    file: "src/postgres/session/presence.ts",
    edits: [["this.#seenSince = sample.sentAt;", "this.#seenSince = sample.receivedAt;"]],
    tests: ["test/presence/slow-answers.test.ts"],
  },
  {
    name: "belief: an answer from before a reconnect proves",
    file: "src/hold/lease.ts",
    edits: [
      ["if (proof.incarnation === this.#presence.incarnation) {", "if (proof.incarnation !== null) {"],
      ["this.#incarnation = proof.incarnation;", "this.#incarnation = this.#presence.incarnation;"],
    ],
    tests: ["test/presence/slow-answers.test.ts"],
  },
  {
    name: "belief: a new session proves its leases",
    file: "src/hold/lease.ts",
    edits: [
      ["this.#presence.isBelieved && this.#incarnation === this.#presence.incarnation", "this.#presence.isBelieved"],
    ],
    tests: ["test/presence/reconnect.test.ts"],
  },
  {
    name: "belief: by the monotonic clock alone",
    file: "src/runtime/clock.ts",
    edits: [
      [
        "return Math.min(deadline.monotonicMs - this.monotonicNowMs(), deadline.wallMs - this.wallNowMs());",
        "return deadline.monotonicMs - this.monotonicNowMs();",
      ],
      [" || deadline.wallMs <= WallClock.now();", ";"],
    ],
    tests: ["test/loss/frozen.test.ts"],
  },
  {
    name: "lock.guard: it is not asked whether a transaction is open",
    file: "src/guard/library.ts",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the text that is looked for
    edits: [["run(`${proof}; ${guard}`)", "run(guard)"]],
    tests: ["test/transactions/refusals.test.ts"],
  },
  {
    name: "lock.transaction: no guard (postgres.js)",
    file: "src/guard/postgres-js.ts",
    edits: [["        await guard.confirm(enter(tx)(guard.statements));\n", ""]],
    tests: libraries,
  },
  {
    name: "lock.transaction: no guard (node-postgres)",
    file: "src/guard/node-postgres.ts",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the text that is looked for
    edits: [["client.query(`${begin}; ${guard.statements.guard}`)", "client.query(begin)"]],
    tests: libraries,
  },
  {
    name: "lock.transaction: no guard (Drizzle)",
    file: "src/guard/drizzle.ts",
    edits: [["      await guard.confirm(enter(tx)(guard.statements));\n", ""]],
    tests: libraries,
  },
  {
    name: "lock.transaction: no guard (Kysely)",
    file: "src/guard/kysely.ts",
    edits: [["      await guard.confirm(enter(tx as KyselyDatabase)(guard.statements));\n", ""]],
    tests: libraries,
  },
  {
    name: "lock.transaction: sent for a lock that is known to be lost",
    file: "src/hold/guards.ts",
    edits: [
      [
        "    backend.refuseGuard();\n    for (const lease of leases) {\n      lease.refuseUnlessHeld();\n    }\n",
        "    backend.refuseGuard();\n",
      ],
    ],
    tests: libraries,
  },
  {
    name: "connections: what stands behind the server's byte about TLS is taken",
    file: "src/postgres/connection/dial.ts",
    edits: [
      ['if (answer.length !== 1 || (letter !== "S" && letter !== "N")) {', 'if (letter !== "S" && letter !== "N") {'],
    ],
    tests: ["test/connections/impostors.test.ts"],
  },
  {
    name: "connections: the driver hears that its socket closed",
    file: "src/postgres/connection/wire.ts",
    edits: [
      [
        'if (event === "data") {',
        'if (event === "close") {\n      this.#socket.on("close", () => listener(Buffer.alloc(0)));\n    } else if (event === "data") {',
      ],
    ],
    tests: ["test/storm/storm.test.ts", "test/connections/link.test.ts"],
  },
  {
    name: "connections: what a server says at the login goes unread to the driver",
    file: "src/postgres/connection/server-messages.ts",
    edits: [["type !== AUTHENTICATION || checkAuthentication(body)", "true"]],
    tests: ["test/connections/impostors.test.ts"],
  },
  {
    name: "connections: what a server says after the login goes unread to the driver",
    file: "src/postgres/connection/server-messages.ts",
    edits: [['codes("12ACDEINSTZnt")', 'codes("12ACDEGHINRSTZcdnt")']],
    tests: ["test/connections/impostors.test.ts"],
  },
  {
    name: "connections: answers that are mixed up after an error are taken as they come",
    file: "src/postgres/connection/server-messages.ts",
    edits: [["type === READY ? this.#last === READY : this.#last === ERROR", "type === READY && this.#last === READY"]],
    tests: ["test/unit/postgres/server-messages.test.ts"],
  },
  {
    name: "connections: an answer without anything in it is taken for one",
    file: "src/postgres/connection/server-messages.ts",
    edits: [["type === READY ? this.#last === READY : this.#last === ERROR", "type !== READY && this.#last === ERROR"]],
    tests: ["test/unit/postgres/server-messages.test.ts"],
  },
  {
    name: "connections: statements are sent together through whatever passes bytes on",
    file: "src/postgres/connection/connect.ts",
    edits: [["if (seemsDirect(hello) && hello.isUnbroken) {", "if (seemsDirect(hello)) {"]],
    tests: ["test/connections/unbroken.test.ts", "test/faults/pgpool.test.ts"],
  },
  {
    name: "connections: postgres.js heeds the environment",
    file: "src/postgres/connection/client.ts",
    edits: [['{ ...options, target_session_attrs: "primary" }', "options"]],
    tests: ["test/connections/surroundings.test.ts"],
  },
  {
    name: "connections: what checkServerIdentity throws goes uncaught",
    file: "src/postgres/connection/dial.ts",
    edits: [["withSafeCheck(ssl) : {}", "ssl : {}"]],
    tests: ["test/tls/sslmode.test.ts"],
  },
  {
    name: "connections: a path that did not stay is taken",
    file: "src/postgres/connection/connect.ts",
    edits: [["  if (path !== SEARCH_PATH && path !== QUOTED_SEARCH_PATH) {", "  if (path === null) {"]],
    tests: ["test/connections/search-path.test.ts"],
  },
  {
    name: "connections: the path is not set first",
    file: "src/postgres/connection/connect.ts",
    edits: [["[...settings, ...(trusts", "[...settings.slice(1), ...settings.slice(0, 1), ...(trusts"]],
    tests: ["test/connections/search-path.test.ts"],
  },
  {
    name: "connections: settings stay before it is known that the backend is ours",
    file: "src/postgres/connection/connections.ts",
    edits: [
      [
        "const direct = { prepare: true, settings: passingSettings };",
        "const direct = { prepare: true, settings: ownSettings };",
      ],
    ],
    tests: ["test/faults/pgbouncer.test.ts", "test/connections/search-path.test.ts"],
  },
  {
    name: "connections: a session is put on a connection before a pooler was looked for",
    file: "src/postgres/session/session.ts",
    edits: [["      await inspection?.refusePooler(link, hello);\n", ""]],
    tests: ["test/faults/pgbouncer.test.ts"],
  },
  {
    name: "connections: the lanes' settings stay as they were before the test",
    file: "src/postgres/connection/connections.ts",
    edits: [["        settle(link).catch((error: Error) => link.destroy(error));\n", ""]],
    tests: ["test/connections/search-path.test.ts"],
  },
  {
    name: "connections: a read is not asked again",
    file: "src/postgres/connection/lane.ts",
    edits: [["isSentNow && (wasSent || !isRead)", "isSentNow"]],
    tests: ["test/faults/hung.test.ts"],
  },
  {
    name: "connections: a silent statement is awaited for ever",
    file: "src/postgres/connection/link.ts",
    edits: [["      this.#unanswered.due.by(statement.dueAtMs);\n", ""]],
    tests: ["test/faults/hung.test.ts"],
  },
  {
    name: "connections: after one that was answered no statement is watched",
    file: "src/postgres/connection/unanswered.ts",
    edits: [["      this.due.by(nextMs);\n", "      // mutant\n"]],
    tests: ["test/unit/postgres/unanswered.test.ts"],
  },
  {
    name: "connections: after a silent statement the connection is kept",
    file: "src/postgres/connection/unanswered.ts",
    edits: [["    if (isSilent) {\n      this.#onSilence();\n", "    if (isSilent) {\n      this.due.by(nextMs);\n"]],
    tests: ["test/unit/postgres/unanswered.test.ts", "test/faults/hung.test.ts"],
  },
  {
    name: "connections: a farewell before the answers",
    file: "src/postgres/connection/link.ts",
    edits: [["void this.#queue.then(() => (", "void Promise.resolve().then(() => ("]],
    tests: ["test/connections/link.test.ts"],
  },
  {
    name: "reentry: any holder of this process counts as the caller",
    file: "src/locker/reentry.ts",
    edits: [["if (isInsideOf(lock)) {", "if (true) {"]],
    tests: ["test/api/reentry.test.ts"],
  },
  {
    name: "reentry: only the innermost body is known",
    file: "src/runtime/surroundings.ts",
    edits: [["at = at.outer)", "at = undefined)"]],
    tests: ["test/api/reentry.test.ts"],
  },
  {
    name: "addresses: the environment is read when the locker is made",
    file: "src/config/resolve-targets.ts",
    edits: [["if (!isFromEnvironment(addresses)) {", "if (true as boolean) {"]],
    tests: ["test/unit/options/connection-options.test.ts", "test/api/get-locker.test.ts"],
  },
  {
    name: "getLocker: a closed one is kept",
    file: "src/locker/get-locker.ts",
    edits: [[" && Reflect.get(locker, isClosing) !== true", ""]],
    tests: ["test/api/get-locker.test.ts"],
  },
  {
    name: "keepAlive: what stops it does not wait for the renewal in flight",
    file: "src/hold/renewal.ts",
    edits: [
      [
        "      if (this.isInFlight) {\n        this.#onSettled ??= [];",
        "      if (false as boolean) {\n        this.#onSettled ??= [];",
      ],
    ],
    tests: ["test/unit/renewals.test.ts"],
  },
  {
    name: "outage: each failure is reported",
    file: "src/observe/outage.ts",
    edits: [["const isNews = !this.#told.has(text);", "const isNews = true;"]],
    tests: ["test/unit/renewals.test.ts", "test/faults/reasons.test.ts"],
  },
  {
    name: "outage: the next one is not reported",
    file: "src/observe/outage.ts",
    edits: [["    if (this.#told.size > 0) {\n      this.#told.clear();\n    }\n", ""]],
    tests: ["test/faults/reasons.test.ts"],
  },
  {
    name: "outage: a wait gives up after requestTimeoutMs",
    file: "src/acquire/looks.ts",
    edits: [["this.leftMs <= 0) {\n      throw error;", "true) {\n      throw error;"]],
    tests: ["test/unit/acquire.test.ts"],
  },
  {
    name: "outage: a silent first attempt ends a wait",
    file: "src/acquire/acquires.ts",
    edits: [
      ["if (this.#context.clock.elapsedMs(this.claim.startedAt) < this.terms.waitMs) {", "if (false as boolean) {"],
    ],
    tests: ["test/unit/acquire.test.ts"],
  },
  {
    name: "outage: a wait waits for what will not pass",
    file: "src/acquire/looks.ts",
    edits: [["isHopeless(error) || this.leftMs", "this.leftMs"]],
    tests: ["test/unit/acquire.test.ts"],
  },
  {
    name: "outage: an address that never worked is asked again",
    file: "src/postgres/session/session.ts",
    edits: [["|| hasNeverWorked", ""]],
    tests: ["test/faults/reasons.test.ts"],
  },
  {
    name: "outage: a try asks an address again that never worked",
    file: "src/acquire/looks.ts",
    edits: [["? !this.#backend.wasReady :", "? false :"]],
    tests: ["test/faults/reasons.test.ts"],
  },
  {
    name: "reasons: without the address",
    file: "src/postgres/connection/failed-at.ts",
    edits: [["    places.set(error, place);\n", ""]],
    tests: ["test/faults/reasons.test.ts"],
  },
  {
    name: "reasons: what is in the way is not looked for",
    file: "src/postgres/postgres-backend.ts",
    edits: [["const inTheWay = isFree ?", "const inTheWay = (false as boolean) ?"]],
    tests: ["test/faults/reasons.test.ts"],
  },
  {
    name: "deadlock: a timeout does not look for one",
    file: "src/acquire/acquires.ts",
    edits: [["this.terms.queues && holdings.size > 0", "this.terms.queues && holdings.size > 1"]],
    tests: ["test/waiting/deadlock.test.ts"],
  },
  {
    name: "deadlock: while it is looked for, the wait cannot be ended",
    file: "src/acquire/acquires.ts",
    edits: [["      this.#isTimedOut = true;\n", ""]],
    tests: ["test/unit/acquire.test.ts"],
  },
  {
    name: "deadlock: looked for when the entry has gone",
    file: "src/acquire/acquires.ts",
    edits: [
      [
        "void claims.backend.findDeadlock(this.key).then(",
        "void this.claim.lastWord().then(() => claims.backend.findDeadlock(this.key)).then(",
      ],
    ],
    tests: ["test/waiting/deadlock.test.ts"],
  },
  {
    name: "hosts: only the last one's reason is told",
    file: "src/postgres/connection/connect.ts",
    edits: [["      failures.push(error);\n", ""]],
    tests: ["test/faults/reasons.test.ts"],
  },
  {
    name: "hosts: a standby hides why the primary could not be reached",
    file: "src/postgres/connection/connect.ts",
    edits: [
      [
        "failures.length > 1 ? standbyAmong(failure) : failure",
        "failures.length > 9 ? standbyAmong(failure) : failure",
      ],
    ],
    tests: ["test/faults/failover.test.ts"],
  },
  {
    name: "outage: a renewal without a session is no failure",
    file: "src/postgres/acts/renew.ts",
    edits: [
      [
        "    if (proven === null) {\n      throw noSession();\n    }\n    const row",
        '    if (proven === null) {\n      for (const item of items) item.onAnswer({ outcome: "unproven" });\n      return;\n    }\n    const row',
      ],
    ],
    tests: ["test/unit/postgres/give-back.test.ts"],
  },
  {
    name: "outage: a listener of keepAlive hears of each renewal that fails",
    file: "src/observe/callbacks.ts",
    edits: [["      if (outage.isNews(error)) {", "      if (outage.isNews(error) || true) {"]],
    tests: ["test/unit/renewals.test.ts"],
  },
  {
    name: "migrate: what it waits for counts as an outage",
    file: "src/locker/parts.ts",
    edits: [["onWait: (error) => callbacks.tell(error)", "onWait: onError"]],
    tests: ["test/migrate/processes.test.ts"],
  },
  {
    name: "loss: nobody is told",
    file: "src/hold/holdings.ts",
    edits: [["      this.#callbacks.unheard(error);\n", ""]],
    tests: ["test/loss/unheard.test.ts"],
  },
  {
    name: "loss: warned of although its signal was read",
    file: "src/hold/holdings.ts",
    edits: [["} else if (!lease.isWatched) {", "} else {"]],
    tests: ["test/loss/unheard.test.ts"],
  },
  {
    name: "loss: each one is warned of",
    file: "src/observe/callbacks.ts",
    edits: [["      hasWarned = true;\n", ""]],
    tests: ["test/loss/unheard.test.ts"],
  },
  {
    name: "signal: many listeners are warned of",
    file: "src/hold/lease.ts",
    edits: [["      allowManyListeners(this.#controller.signal);\n", ""]],
    tests: ["test/loss/unheard.test.ts"],
  },
];
