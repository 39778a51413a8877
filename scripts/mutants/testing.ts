// Faults in the test kit, and in what stands between the locker and a store of somebody's own.
import type { Mutant } from "./mutant.js";

const of =
  (about: string, file: string, tests: readonly string[]) =>
  (name: string, ...edits: Mutant["edits"]): Mutant => ({ name: `${about}: ${name}`, file, edits, tests });

const kitTests = ["test/testing/test-locker.test.ts"];
const adapterTests = ["test/unit/store/store-backend.test.ts"];

const clock = of("test clock", "src/testing/test-clock.ts", kitTests);
const faults = of("test faults", "src/testing/faulty-store.ts", kitTests);
const kit = of("test locker", "src/testing/test-locker.ts", kitTests);
const adapter = of("adapter", "src/store/store-backend.ts", adapterTests);
const opening = of("adapter", "src/store/store-opening.ts", adapterTests);
const calls = of("adapter", "src/store/store-calls.ts", adapterTests);
const checks = of("answers", "src/store/answer-checks.ts", adapterTests);
const answers = of("answers", "src/store/answers.ts", adapterTests);

export const testing: readonly Mutant[] = [
  clock("all timers fire at the end", [
    "      this.#elapsedMs = Math.max(this.#elapsedMs, first.atMs);\n",
    "      this.#elapsedMs = untilMs;\n",
  ]),
  clock("what a timer causes comes after the next one", [
    "      this.#run(first);\n      await turn();\n",
    "      this.#run(first);\n",
  ]),
  clock("a timer at the very end does not fire", ["pending.atMs <= untilMs &&", "pending.atMs < untilMs &&"]),
  clock("moves that are asked for at once overtake each other", [
    "this.#advancing = this.#advancing.then(() => this.#advance(checked));",
    "this.#advancing = this.#advance(checked);",
  ]),
  clock("what is due now waits for the next move", [
    "    if (pending.atMs <= this.#elapsedMs) {\n      this.#catchUp();",
    "    if (pending.atMs < 0) {\n      this.#catchUp();",
  ]),
  clock("it waits for fake timers", [
    'port1.once("message", () => {\n      port1.close();\n      resolve();\n    });\n    port2.postMessage(null);',
    "port1.close();\n    void port2;\n    setTimeout(resolve, 0);",
  ]),
  faults("disconnected, and yet sent", [
    "if (outages.isDisconnected) {",
    "if (outages.isDisconnected && next !== null) {",
  ]),
  faults("every call fails from then on", ["      outages.next = null;\n      throw next;", "      throw next;"]),
  faults("healing leaves it slow", [
    "    this.slowMs = 0;\n    this.isDisconnected = false;",
    "    this.isDisconnected = false;",
  ]),
  faults("healing leaves it disconnected", ["    this.isDisconnected = false;\n    this.next", "    this.next"]),
  faults("what is on its way is not let in by healing", [
    "      arrive();\n    }\n  }",
    "      void arrive;\n    }\n  }",
  ]),
  kit("each process has leases of its own", [
    "store = new MemoryStore(leases, context);",
    "store = new MemoryStore(new MemoryLeases(() => clock.wallNowMs()), context);",
  ]),
  kit("closing waits for the test", ["    void this.#clock.advanceUntil(closing);\n", ""]),
  kit("an option of a database is ignored", ["if (option !== undefined) {", "if (option === null) {"]),
  kit("a key is lost for another reason", ['["taken", "expired", "max-hold", "forced"]),', '["taken"]),']),
  adapter("believed from the answer on", [
    "    const asked = this.#asked(startedAt);",
    "    const asked = this.#asked({ monotonicMs: startedAt.monotonicMs + 10_000, wallMs: startedAt.wallMs + 10_000 });",
  ]),
  adapter("a store that was replaced is still believed", ["        this.presence.incarnation += 1;\n", ""]),
  adapter("the store's clock is never learnt", ['if ("nowMs" in answer && !isKnown) {', "if (false) {"]),
  adapter("the store's clock is not learnt from one that says late", [
    'answer.outcome === "granted" && this.#storeClock',
    "this.#storeClock",
  ]),
  adapter("a waiter forgets its ticket", ["ticket?.number ?? null", "null"]),
  opening("a failure to open is for ever", [
    ".finally(() => {\n      this.#opening = null;\n    });",
    ".finally(() => undefined);",
  ]),
  calls("what a store throws at once escapes", ["      answered = Promise.reject(error);\n", "      throw error;\n"]),
  calls("a renewal waits for ever", [
    "return withTimeoutOf(clock, this.ask(method, ask, read), requestTimeoutMs)",
    "return this.ask(method, ask, read)",
  ]),
  calls("an answer that is none escapes", [
    "          pending.onFailure(this.#failed(method, error));\n          return;\n",
    "          throw error;\n",
  ]),
  calls("a failure is not told", ["    this.#init.onFailure(failure);\n", ""]),
  checks("a time that no Date can be", ["if (Math.abs(ms) <= MAX_DATE_MS) return ms;", "return ms;"]),
  checks(
    "a lock for ever: NaN as its end",
    ["if (Math.abs(ms) <= MAX_DATE_MS) return ms;", "return ms;"],
    ['if (typeof value === "number" && Number.isFinite(value)) return value;', "return value as number;"],
  ),
  answers("no limit is sent as Infinity", [
    "maxHoldMs: maxHoldMs === Number.POSITIVE_INFINITY ? null : maxHoldMs,",
    "maxHoldMs,",
  ]),
];
