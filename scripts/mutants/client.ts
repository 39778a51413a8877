// Faults in what a client believes, and in what it sends.
//
// Not here, because they change nothing that could be seen:
// - a heartbeat of the last session counts for this one (session.ts): the old connection is closed before a new one is made,
//   and a closed one answers nothing;
// - a lost lease takes an answer (`prove` in lease.ts): what is lost stays lost whatever its deadline is.
import type { Mutant } from "./mutant.js";

const libraries = ["test/transactions/libraries.test.ts"];

export const client: readonly Mutant[] = [
  {
    name: "belief: without the bound of the heartbeat",
    file: "src/postgres/session.ts",
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
    file: "src/postgres/session.ts",
    edits: [["this.#seenSince = sample.sentAt;", "this.#seenSince = now();"]],
    tests: ["test/presence/slow-answers.test.ts"],
  },
  {
    name: "belief: an answer from before a reconnect proves",
    file: "src/lease.ts",
    edits: [
      ["if (proof.incarnation === this.#presence.incarnation) {", "if (proof.incarnation !== null) {"],
      ["this.#incarnation = proof.incarnation;", "this.#incarnation = this.#presence.incarnation;"],
    ],
    tests: ["test/presence/slow-answers.test.ts"],
  },
  {
    name: "belief: a new session proves its leases",
    file: "src/lease.ts",
    edits: [
      ["this.#presence.isBelieved && this.#incarnation === this.#presence.incarnation", "this.#presence.isBelieved"],
    ],
    tests: ["test/presence/reconnect.test.ts"],
  },
  {
    name: "belief: by the monotonic clock alone",
    file: "src/clock.ts",
    edits: [
      [
        "return Math.min(deadline.monotonicMs - monotonic(), deadline.wallMs - WallClock.now());",
        "return deadline.monotonicMs - monotonic();",
      ],
    ],
    tests: ["test/loss/frozen.test.ts"],
  },
  {
    name: "lock.guard: it is not asked whether a transaction is open",
    file: "src/fencing/library.ts",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the text that is looked for
    edits: [["run(`${proof}; ${guard}`)", "run(guard)"]],
    tests: ["test/transactions/refusals.test.ts"],
  },
  {
    name: "lock.transaction: no guard (postgres.js)",
    file: "src/fencing/postgres-js.ts",
    edits: [["        await guard.judge(enter(tx)(guard.statements));\n", ""]],
    tests: libraries,
  },
  {
    name: "lock.transaction: no guard (node-postgres)",
    file: "src/fencing/node-postgres.ts",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the text that is looked for
    edits: [["client.query(`${begin}; ${guard.statements.guard}`)", "client.query(begin)"]],
    tests: libraries,
  },
  {
    name: "lock.transaction: no guard (Drizzle)",
    file: "src/fencing/drizzle.ts",
    edits: [["      await guard.judge(enter(tx)(guard.statements));\n", ""]],
    tests: libraries,
  },
  {
    name: "lock.transaction: no guard (Kysely)",
    file: "src/fencing/kysely.ts",
    edits: [["      await guard.judge(enter(tx as KyselyDatabase)(guard.statements));\n", ""]],
    tests: libraries,
  },
  {
    name: "lock.transaction: sent for a lock that is known to be lost",
    file: "src/holdings.ts",
    edits: [["  guard(lease: Lease): Guard {\n    refuseUnlessHeld(lease);\n", "  guard(lease: Lease): Guard {\n"]],
    tests: libraries,
  },
  {
    name: "connections: what stands behind the server's byte about TLS is taken",
    file: "src/postgres/dial.ts",
    edits: [
      ['if (answer.length !== 1 || (letter !== "S" && letter !== "N")) {', 'if (letter !== "S" && letter !== "N") {'],
    ],
    tests: ["test/connections/impostors.test.ts"],
  },
  {
    name: "connections: the driver hears that its socket closed",
    file: "src/postgres/wire.ts",
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
    file: "src/postgres/wire.ts",
    edits: [["      this.#login.read(chunk);\n", ""]],
    tests: ["test/connections/impostors.test.ts"],
  },
  {
    name: "connections: a path that did not stay is taken",
    file: "src/postgres/connect.ts",
    edits: [["settings.length > 0 && row.path !== SEARCH_PATH", "settings.length < 0"]],
    tests: ["test/connections/search-path.test.ts"],
  },
  {
    name: "connections: the path is not set first",
    file: "src/postgres/connect.ts",
    edits: [["[...settings, ...(trustsOwners", "[...settings.slice(1), ...settings.slice(0, 1), ...(trustsOwners"]],
    tests: ["test/connections/search-path.test.ts"],
  },
  {
    name: "connections: a read is not asked again",
    file: "src/postgres/lane.ts",
    edits: [["isSentNow && (wasSent || !isRead)", "isSentNow"]],
    tests: ["test/faults/hung.test.ts"],
  },
  {
    name: "connections: a farewell before the answers",
    file: "src/postgres/link.ts",
    edits: [["void this.#queue.then(() => (", "void Promise.resolve().then(() => ("]],
    tests: ["test/connections/link.test.ts"],
  },
];
