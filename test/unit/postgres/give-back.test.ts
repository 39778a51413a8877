// Releases, abandons and renewals as statements.
import { expect, test } from "vitest";
import type { LeaseholdError } from "../../../src/errors/errors.js";
import { ReleaseAct } from "../../../src/postgres/acts/release.js";
import { RenewAct } from "../../../src/postgres/acts/renew.js";
import type { ReleaseAnswer, RenewAnswer } from "../../../src/store/messages.js";
import { clock, settle } from "../manual-clock.js";
import { watch } from "../outcome.js";
import { FakeActs, serverError } from "./fake-acts.js";

class Pending<Answer> {
  readonly isShared = false;
  readonly key: string;
  readonly token: string = crypto.randomUUID();
  readonly fence = 5n;
  readonly askedTtlMs: number | null;
  readonly answers: Answer[] = [];
  readonly failures: LeaseholdError[] = [];
  sent = 0;
  constructor(key: string, askedTtlMs: number | null = null) {
    this.key = key;
    this.askedTtlMs = askedTtlMs;
  }
  /** Whether another process is thought to be next. */
  isElsewhere = false;
  onSent(): boolean {
    this.sent += 1;
    return this.isElsewhere;
  }
  onAnswer(answer: Answer): void {
    this.answers.push(answer);
  }
  onFailure(error: LeaseholdError): void {
    this.failures.push(error);
  }
}

const answersOf = <Answer extends { outcome: string }>(items: readonly Pending<Answer>[]) =>
  items.map(({ answers }) => answers.map(({ outcome }) => outcome).join());

function releases(keys: readonly string[]) {
  const fake = new FakeActs();
  const act = new ReleaseAct(fake.acts);
  const items = keys.map((key) => new Pending<ReleaseAnswer>(key));
  for (const item of items) act.release(item);
  return { fake, act, items };
}

test("releases are told that they are on their way before the answer comes, where order is kept", async () => {
  const { fake, items } = releases(["a", "b"]);
  expect(items.map(({ sent }) => sent)).toEqual([0, 0]);
  await settle();
  expect(items.map(({ sent }) => sent)).toEqual([1, 1]);
  await fake.take().answer({ others: null });
  expect(answersOf(items)).toEqual(["released", "released"]);
});

test("where order is not kept, none is told so", async () => {
  const { fake, items } = releases(["a"]);
  Object.assign(fake.connections.commands, { keepsOrder: false });
  await settle();
  expect(items[0]?.sent).toBe(0);
  await fake.take().answer({ others: null });
  expect(answersOf(items)).toEqual(["released"]);
});

test("releases that are not plain are answered from others, and other processes are told of their turn, once", async () => {
  const { fake, items } = releases(["a", "b", "c", "d", "e", "f"]);
  Object.assign(items[5] ?? {}, { isElsewhere: true });
  await settle();
  expect(fake.told).toEqual(["f"]); // without waiting for the answer
  const others = [
    [2, "gone", "taken", null],
    [3, "released", null, 42],
    [4, "released", null, 7], // ourselves
    [5, "busy", null, null],
    [6, "released", null, 42],
  ];
  await fake.take().answer({ others: JSON.stringify(others) });
  expect(fake.told).toEqual(["f", "c"]);
  expect(items.map(({ answers }) => answers[0]?.isNextOurs)).toEqual([
    undefined,
    undefined,
    false,
    true,
    undefined,
    false,
  ]);
  expect(answersOf(items)).toEqual(["released", "gone", "released", "released", "busy", "released"]);
  expect(items[1]?.answers[0]?.reason).toBe("taken");
});

test("a release for which somebody waits says whether that is one of ours", async () => {
  const { fake, items } = releases(["a", "b", "c"]);
  await settle();
  const others = [
    [1, "released", null, 7],
    [2, "released", null, 8],
  ];
  await fake.take().answer({ others: JSON.stringify(others) });
  expect(items.map(({ answers }) => answers[0]?.isNextOurs)).toEqual([true, false, undefined]);
});

test("a release after a deadlock is sent again, and answered once", async () => {
  const { fake, items } = releases(["a"]);
  await settle();
  await fake.take().fail(serverError("40P01"));
  await fake.take().answer({ others: null });
  expect(answersOf(items)).toEqual(["released"]);
});

test("abandons are answered item by item, in whatever order the rows come", async () => {
  const { fake, act } = releases([]);
  const ask = (key: string) =>
    watch(act.abandon({ key, token: crypto.randomUUID(), wasHeld: key === "a", isDoubted: key === "b" }));
  const [a, b] = [ask("a"), ask("b")];
  await settle();
  const statement = fake.take();
  expect(statement.parameters.slice(2)).toEqual(["{true,false}", "{false,true}"]);
  await statement.answer(
    { item: 2, outcome: "gone", next: 9, reason: "taken" },
    { item: 1, outcome: "released", next: null, reason: null },
  );
  expect(fake.told).toEqual(["b"]);
  expect([a?.result, b?.result]).toEqual([
    { outcome: "released", reason: null },
    { outcome: "gone", reason: "taken" },
  ]);
});

function renewals(...items: readonly Pending<RenewAnswer>[]) {
  const fake = new FakeActs();
  const act = new RenewAct(fake.acts);
  for (const item of items) act.renew(item);
  return { fake, act, items };
}

const row = (item: number, outcome: string, expires: number | null = null, reason: string | null = null) =>
  [item, outcome, expires, reason] as const;

test("renewals for one time go together, those for another one after them, and one that fails spares the others", async () => {
  const [a, b, c] = [
    new Pending<RenewAnswer>("a", 10),
    new Pending<RenewAnswer>("b", 20),
    new Pending<RenewAnswer>("c", 10),
  ];
  const { fake, items } = renewals(a, b, c);
  await settle();
  const first = fake.take();
  expect(first.parameters.slice(3, 5)).toEqual([10, '{"a","c"}']);
  await first.fail(new Error("closed"));
  const second = fake.take();
  expect(second.parameters.slice(3, 5)).toEqual([20, '{"b"}']);
  await second.answer({ expires: clock.wallMs + 20, others: null });
  expect(answersOf(items)).toEqual(["", "renewed", ""]);
  expect(items.map(({ failures }) => failures.length)).toEqual([1, 0, 1]);
});

test("renewals that are not plain are answered from others", async () => {
  const { fake, items } = renewals(...["a", "b", "c"].map((key) => new Pending<RenewAnswer>(key, 30_000)));
  await settle();
  const at = clock.wallMs;
  await fake.take().answer({
    expires: at + 30_000,
    others: JSON.stringify([row(2, "lost", null, "forced"), row(3, "renewed", at + 60_000)]),
  });
  expect(answersOf(items)).toEqual(["renewed", "lost", "renewed"]);
  expect(items.map(({ answers }) => answers[0])).toMatchObject([
    { expiresAtMs: at + 30_000, incarnation: 3 },
    { reason: "forced" },
    { expiresAtMs: at + 60_000 },
  ]);
});

test("a renewal whose row is locked waits for it alone, while other batches pass, and is given up after its turn", async () => {
  const [a, b] = [new Pending<RenewAnswer>("a", 30_000), new Pending<RenewAnswer>("b", 30_000)];
  const { fake, act } = renewals(a, b);
  await settle();
  await fake.take().answer({ expires: null, others: JSON.stringify([row(1, "busy"), row(2, "busy")]) });
  const busy = fake.take();
  expect(busy.text).toContain("renew_busy");
  expect(busy.parameters[3]).toBe("a");
  const other = new Pending<RenewAnswer>("c", 30_000);
  act.renew(other);
  await settle();
  await fake.take().answer({ expires: clock.wallMs + 30_000, others: null });
  expect(answersOf([other])).toEqual(["renewed"]);
  await busy.answer({ item: 1, outcome: "renewed", expires: clock.wallMs + 30_000, reason: null });
  const next = fake.take();
  expect(next.parameters[3]).toBe("b");
  await next.fail(serverError("55P03")); // it waited in vain
  expect(answersOf([a, b])).toEqual(["renewed", "busy"]);

  act.renew(a);
  act.renew(b);
  await settle();
  await fake.take().answer({ expires: null, others: JSON.stringify([row(1, "busy"), row(2, "busy")]) });
  const slow = fake.take();
  await clock.pass(501);
  await slow.answer({ item: 1, outcome: "lost", expires: null, reason: "taken" });
  expect(fake.statements).toHaveLength(0); // the other one's turn has ended: a batch is tried again
  expect(b.answers.at(-1)).toEqual({ outcome: "busy" });
});

test("without a session that stands no renewal is sent", async () => {
  const item = new Pending<RenewAnswer>("a", 30_000);
  const fake = new FakeActs();
  fake.active = null;
  new RenewAct(fake.acts).renew(item);
  await settle();
  expect(item.answers).toEqual([]);
  expect(item.failures).toMatchObject([{ code: "unavailable", outcome: "not-sent" }]);
  expect(fake.statements).toHaveLength(0);
});
