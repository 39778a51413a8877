// How attempts and looks become statements, and how the statements' rows become their answers.
import { expect, test } from "vitest";
import { resolveAcquireOptions, resolveLockerOptions } from "../../../src/config/resolve-options.js";
import type { LeaseholdError } from "../../../src/errors/errors.js";
import { AcquireAct } from "../../../src/postgres/acts/acquire.js";
import { after, now } from "../../../src/runtime/clock.js";
import type { AcquireAnswer, FirstAttempt, GrantTerms, Ticket } from "../../../src/store/messages.js";
import { clock, settle } from "../manual-clock.js";
import { watch } from "../outcome.js";
import { FakeActs, type Statement, serverError } from "./fake-acts.js";

const options = resolveLockerOptions({ url: "postgres://app@db.example/app" });
const termsOf = (given: object = {}, waits = false): GrantTerms => resolveAcquireOptions(options, given, { waits });

class Attempt implements FirstAttempt {
  readonly key: string;
  readonly token: string = crypto.randomUUID();
  readonly terms: GrantTerms;
  readonly startedAt = now();
  readonly deadline = after(this.startedAt, 5_000);
  answers: AcquireAnswer[] = [];
  failures: LeaseholdError[] = [];
  constructor(key: string, terms: GrantTerms) {
    this.key = key;
    this.terms = terms;
  }
  onAnswer(answer: AcquireAnswer): void {
    this.answers.push(answer);
  }
  onFailure(error: LeaseholdError): void {
    this.failures.push(error);
  }
}

function open(init?: { presence?: boolean }) {
  const fake = new FakeActs(init);
  const act = new AcquireAct(fake.acts);
  const attempt = (key: string, terms = termsOf()): Attempt => {
    const made = new Attempt(key, terms);
    act.attempt(made);
    return made;
  };
  return { fake, act, attempt };
}

const isFirst = ({ text }: Statement) => text.includes("acquire_first(");
const outcomes = (attempts: readonly Attempt[]) => attempts.map(({ answers }) => answers.map(({ outcome }) => outcome));
const granted = (fences: string) => ({ fences, acquired: clock.wallMs, expires: clock.wallMs + 30_000, others: null });

test("first attempts with the same terms go into one statement, with the session's name before them", async () => {
  const { fake, attempt } = open();
  const attempts = [attempt("a"), attempt('b"\\')];
  await settle();
  const statement = fake.take();
  expect(isFirst(statement)).toBe(true);
  expect(statement.parameters.slice(0, 3)).toEqual([7, "nonce", 5_000]);
  expect(statement.parameters).toContain('{"a","b\\"\\\\"}');
  expect(statement.parameters.at(-1)).toBe("{5}");
  await statement.answer(granted("11,12"));

  expect(outcomes(attempts)).toEqual([["granted"], ["granted"]]);
  expect(attempts[1]?.answers[0]).toMatchObject({ fence: 12n, incarnation: 3, takeover: null });
  expect(fake.judged).toEqual([true]);
});

test("what was not granted is told in others, item by item, among those that were", async () => {
  const { fake, attempt } = open();
  const attempts = ["free", "held", "queued", "busy", "taken"].map((key) => attempt(key));
  await settle();
  const at = clock.wallMs;
  const others = JSON.stringify([
    [2, "held", null, null, at + 900, null, "o", "3", 9, null, null, null, null, null],
    [3, "queued", null, null, at + 900, "77", "o", "3", 9, at + 50, null, null, null, "-8"],
    [4, "busy", null, null, null, null, null, null, null, null, 4711, null, null, null],
    [5, "granted", "15", at, at + 30_000, null, "dead", "14", 8, null, null, "orphaned", at - 9, null],
  ]);
  await fake.take().answer({ ...granted("11,,,,"), others });

  expect(outcomes(attempts)).toEqual([["granted"], ["held"], ["queued"], ["busy"], ["granted"]]);
  expect(attempts[1]?.answers[0]).toMatchObject({ holder: { owner: "o", fence: 3n, sessionId: 9 } });
  expect(attempts[2]?.answers[0]).toMatchObject({ ticket: { number: 77n, proof: -8n }, lookInMs: 51 });
  expect(attempts[3]?.answers[0]).toMatchObject({ ticket: null, holder: null, blockingPid: 4711 });
  expect(attempts[4]?.answers[0]).toMatchObject({
    fence: 15n,
    takeover: { owner: "dead", fence: 14n, sessionId: 8, reason: "orphaned", sinceMs: at - 9 },
  });
});

test("a lease is believed for less than it lasts, counted from when the statement was sent", async () => {
  const { fake, attempt } = open();
  const sentAt = now();
  const made = attempt("a");
  await settle();
  const statement = fake.take();
  const serverMs = clock.wallMs + 700;
  await clock.pass(1_000);
  await statement.answer({ ...granted("11"), expires: serverMs + 30_000, now: serverMs });
  expect(made.answers[0]).toMatchObject({ until: after(sentAt, 30_000 - 302), expiresAtMs: serverMs + 30_000 });
});

test("different terms have statements of their own, one beside the other, eight sorts at most", async () => {
  const { fake, attempt } = open();
  const attempts = Array.from({ length: 10 }, (_, n) => attempt(`key ${n}`, termsOf({ ttlMs: 1_000 + n })));
  await settle();
  expect(fake.statements.filter(isFirst)).toHaveLength(8);
  expect(fake.statements).toHaveLength(9); // the rest goes with the looks, whose statement takes any terms
  for (const statement of fake.statements.splice(0)) {
    if (isFirst(statement)) await statement.answer(granted("11"));
    else
      await statement.answer(
        { item: 1, outcome: "late" },
        { item: 2, outcome: "granted", fence: "5", acquired: 0, expires: clock.wallMs, takeover: null },
      );
  }
  expect(outcomes(attempts)).toEqual([...Array.from({ length: 8 }, () => ["granted"]), ["late"], ["granted"]]);
  // A sort that is idle makes room.
  attempt("new", termsOf({ ttlMs: 2_000 }));
  await settle();
  const statement = fake.take();
  expect(isFirst(statement)).toBe(true);
  await statement.answer(granted("12"));
});

test("an attempt that waits and one that does not are not of one sort", async () => {
  const { fake, attempt } = open();
  attempt("a", termsOf());
  attempt("b", termsOf({}, true));
  await settle();
  expect(fake.statements).toHaveLength(2);
  for (const statement of fake.statements.splice(0)) await statement.answer(granted("1"));
});

test("when a stranger blocks an insert, all are asked again in the statement that skips what is locked, and answered once", async () => {
  const { fake, act, attempt } = open();
  const attempts = [attempt("stuck"), attempt("b")];
  await settle();
  await fake.take().fail(serverError("55P03"));
  const careful = fake.take();
  expect(isFirst(careful)).toBe(false);
  expect(careful.parameters[3]).toBe("true");
  const busyRow = { item: 1, outcome: "busy", ticket: null, expires: null, blocker: null };
  await careful.answer(busyRow, {
    item: 2,
    outcome: "granted",
    fence: "5",
    acquired: 0,
    expires: clock.wallMs,
    takeover: null,
  });
  expect(outcomes(attempts)).toEqual([["busy"], ["granted"]]);

  // What is still stuck goes there at once, what was granted does not.
  attempt("stuck");
  attempt("b");
  await settle();
  const [first, second] = fake.statements.splice(0);
  expect([first, second].map((statement) => statement !== undefined && isFirst(statement)).sort()).toEqual([
    false,
    true,
  ]);
  for (const statement of [first, second]) {
    if (statement === undefined) continue;
    await statement.answer(
      isFirst(statement)
        ? granted("6")
        : { item: 1, outcome: "granted", fence: "7", acquired: 0, expires: 0, takeover: null },
    );
  }
  // And it is stuck no more.
  attempt("stuck");
  await settle();
  const last = fake.take();
  expect(isFirst(last)).toBe(true);
  await last.answer(granted("8"));
  void act;
});

test("looks whose insert a stranger blocks are asked again carefully, in the same turn", async () => {
  const { fake, act } = open();
  const look = watch(act.look({ key: "a", token: crypto.randomUUID(), terms: termsOf(), notAfterMs: 0, ticket: null }));
  await settle();
  const plain = fake.take();
  expect(plain.text).toContain("leasehold_internal.acquire_one(");
  await plain.fail(serverError("55P03"));
  const careful = fake.take();
  expect(careful.parameters[3]).toBe("true");
  await careful.fail(serverError("55P03")); // nobody asks a third time
  expect(look.error).toMatchObject({ code: "unavailable", outcome: "not-sent" });
  expect(fake.statements).toHaveLength(0);
});

test("the look of a waiter with a ticket does not wait for the answer to those that join", async () => {
  const { fake, act } = open();
  const look = (ticket: Ticket | null) =>
    watch(act.look({ key: "a", token: crypto.randomUUID(), terms: termsOf({}, true), notAfterMs: 0, ticket }));
  const joining = look(null);
  await settle();
  const join = fake.take();
  const looking = look({ number: 5n, proof: -6n });
  await settle();
  const statement = fake.take();
  expect(statement.text).toContain("leasehold_internal.acquire_one(");
  expect(statement.parameters.slice(-5)).toEqual(["5", "-6", "{5}", null, null]); // it wants no share
  await statement.answer({ outcome: "granted", fence: "7", acquired: 0, expires: 0, takeover: null });
  expect(looking.result).toMatchObject({ outcome: "granted", fence: 7n });
  await join.answer({ outcome: "queued", ticket: "8", proof: "9", nextlook: null, expires: null });
  expect(joining.result).toMatchObject({ outcome: "queued", ticket: { number: 8n, proof: 9n } });
});

test("without a session that stands nothing is sent: it is unproven", async () => {
  const { fake, act, attempt } = open();
  fake.active = null;
  const made = attempt("a");
  const look = watch(act.look({ key: "a", token: crypto.randomUUID(), terms: termsOf(), notAfterMs: 0, ticket: null }));
  await settle();
  expect(made.answers).toEqual([{ outcome: "unproven" }]);
  expect(look.result).toEqual({ outcome: "unproven" });
  expect(fake.statements).toHaveLength(0);
});

test("what the server finds unproven is judged as such", async () => {
  const { fake, attempt } = open();
  const attempts = [attempt("a"), attempt("b")];
  await settle();
  const row = (item: number) => [item, "unproven", ...Array.from({ length: 12 }, () => null)];
  await fake.take().answer({ fences: null, acquired: null, expires: null, others: JSON.stringify([row(1), row(2)]) });
  expect(outcomes(attempts)).toEqual([["unproven"], ["unproven"]]);
  expect(fake.judged).toEqual([false]);
});

test("without presence a statement names no session and no delay", async () => {
  const { fake, attempt } = open({ presence: false });
  const made = attempt("a");
  await settle();
  const statement = fake.take();
  expect(statement.parameters.slice(0, 3)).toEqual([null, null, null]);
  await statement.answer(granted("4"));
  expect(made.answers[0]).toMatchObject({ outcome: "granted", incarnation: 0 });
});

test("a grant whose commit may not have reached its synchronous standby is no grant", async () => {
  const { fake, attempt } = open();
  const made = attempt("a");
  await settle();
  fake.connections.unconfirmedCommits += 1;
  await fake.take().answer(granted("4"));
  expect(made.answers).toEqual([]);
  expect(made.failures).toMatchObject([{ code: "unavailable", outcome: "unknown" }]);
});

test("a statement that fails fails each attempt once", async () => {
  const { fake, attempt } = open();
  const attempts = [attempt("a"), attempt("b")];
  await settle();
  await fake.take().fail(new Error("the connection was closed"));
  expect(attempts.map(({ answers, failures }) => [answers.length, failures.length])).toEqual([
    [0, 1],
    [0, 1],
  ]);
});
