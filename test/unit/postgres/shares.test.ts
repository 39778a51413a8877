// How attempts and releases of shares become statements, and who is told of what they answer.
import { expect, test } from "vitest";
import { resolveAcquireOptions, resolveLockerOptions } from "../../../src/config/resolve-options.js";
import { AcquireAct } from "../../../src/postgres/acts/acquire.js";
import { ReleaseAct } from "../../../src/postgres/acts/release.js";
import { after, now } from "../../../src/runtime/clock.js";
import type { AcquireAnswer, AcquireRequest, FirstAttempt, ReleaseAnswer } from "../../../src/store/messages.js";
import { clock, settle } from "../manual-clock.js";
import { FakeActs, serverError } from "./fake-acts.js";

const options = resolveLockerOptions({ url: "postgres://app@db.example/app" });
const termsOf = (given: object, waits = true) => resolveAcquireOptions(options, given, { waits });

const attempt = (key: string, given: object): FirstAttempt & { readonly answers: AcquireAnswer[] } => {
  const answers: AcquireAnswer[] = [];
  return {
    key,
    token: crypto.randomUUID(),
    terms: termsOf(given),
    startedAt: now(),
    deadline: after(now(), 5_000),
    answers,
    onAnswer: (answer) => void answers.push(answer),
    onFailure: (error) => {
      throw error;
    },
  };
};
const look = (key: string, given: object): AcquireRequest => ({
  key,
  token: crypto.randomUUID(),
  terms: termsOf(given),
  notAfterMs: 0,
  ticket: { number: 1n, proof: 1n },
});
const none = { ticket: null, proof: null, holder: null, holderfence: null, holdersession: null, takeover: null };
const grant = (nextlook: number | null) => ({
  ...none,
  item: 1,
  outcome: "granted",
  fence: "5",
  acquired: clock.wallMs,
  expires: clock.wallMs + 30_000,
  nextlook,
  blocker: null,
  since: null,
});
const busy = { ...grant(0), outcome: "busy", fence: null, expires: null };

test("attempts that share on the same terms go into one statement, which is told weight and capacity", async () => {
  const fake = new FakeActs();
  const act = new AcquireAct(fake.acts);
  const [reader, part, other] = [
    attempt("a", { shared: true }),
    attempt("a", { capacity: 4, weight: 2 }),
    attempt("a", { capacity: 5, weight: 2 }),
  ];
  for (const one of [reader, part, other]) act.attempt(one);
  await settle();

  const sent = [fake.take(), fake.take(), fake.take()];
  expect(sent.map(({ text }) => text.includes("acquire_shares("))).toEqual([true, true, true]);
  expect(sent.map(({ parameters }) => parameters.slice(-4))).toEqual([
    [1, null, null, null],
    [2, 4, null, null],
    [2, 5, null, null],
  ]);
});

test("looks that share on the same terms go into one statement, with their tickets, and not with those that have none yet", async () => {
  const fake = new FakeActs();
  const act = new AcquireAct(fake.acts);
  const asking = [1n, 2n].map((number) =>
    act.look({ ...look("a", { capacity: 2 }), ticket: { number, proof: -number } }),
  );
  void act.look({ ...look("a", { capacity: 2 }), ticket: null });
  await settle();
  const [waiting, joining] = [fake.take(), fake.take()];
  await waiting.answer({ fences: "8,9", acquired: clock.wallMs, expires: clock.wallMs + 30_000, others: null });

  expect([waiting, joining].map(({ text }) => text.includes("acquire_shares("))).toEqual([true, true]);
  expect(waiting.parameters.slice(-4)).toEqual([1, 2, "{1,2}", "{-1,-2}"]);
  expect(joining.parameters.slice(-4)).toEqual([1, 2, null, null]);
  expect((await Promise.all(asking)).map((answer) => answer.outcome === "granted" && answer.fence)).toEqual([8n, 9n]);
});

test.each([
  ["of other processes are told of", 0, true, ["a"]],
  ["of this process are not told by a statement", 1, true, []],
  ["there are none", null, undefined, []],
])("of a share that was granted, others who fit: %s", async (_, nextlook, hasMore, told) => {
  const fake = new FakeActs();
  const asking = new AcquireAct(fake.acts).look(look("a", { shared: true }));
  await settle();
  const { text, answer } = fake.take();
  const ms = clock.wallMs;
  const row = [1, "granted", "5", ms, ms + 30_000, null, null, null, null, nextlook, null, null, null, null];
  await answer({ fences: "", acquired: null, expires: null, others: JSON.stringify([row]) });

  expect(text).toContain("acquire_shares(");
  const granted = await asking;
  expect(granted.outcome === "granted" && granted.hasMore).toBe(hasMore);
  expect(fake.told).toEqual(told);
});

test("what is busy on a shared key is asked again by a statement that waits, and only then answered", async () => {
  const fake = new FakeActs();
  const act = new AcquireAct(fake.acts);
  const first = attempt("a", { shared: true });
  act.attempt(first);
  await settle();
  const others = JSON.stringify([[1, "busy", null, null, null, null, null, null, null, 0, null, null, null, null]]);
  await fake.take().answer({ fences: "", acquired: null, expires: null, others });
  const before = [...first.answers];
  const waiting = fake.take();
  await waiting.answer(grant(null));

  expect(before).toEqual([]);
  expect(waiting.text).toContain("acquire_busy(");
  expect(first.answers.map(({ outcome }) => outcome)).toEqual(["granted"]);
});

test("looks that are busy are asked again by key; one whose row stays locked is busy", async () => {
  const fake = new FakeActs();
  const act = new AcquireAct(fake.acts);
  const asking = [act.look(look("a", {})), act.look(look("b", {})), act.look(look("a", {}))];
  await settle();
  await fake.take().answer({ ...busy, item: 1 }, { ...busy, item: 2 }, { ...busy, item: 3 });
  const ofA = fake.take();
  await ofA.answer(grant(null), { ...grant(0), item: 2 });
  await fake.take().fail(serverError("55P03"));

  expect(ofA.parameters).toContain('{"a","a"}');
  expect((await Promise.all(asking)).map(({ outcome }) => outcome)).toEqual(["granted", "busy", "granted"]);
  expect(fake.told).toEqual(["a"]);
});

test("an attempt whose insert would wait is asked carefully, and once that was answered the next one as any other", async () => {
  const fake = new FakeActs();
  const act = new AcquireAct(fake.acts);
  const [first, second] = [attempt("a", { shared: true }), attempt("a", { shared: true })];
  act.attempt(first);
  await settle();
  await fake.take().fail(serverError("55P03"));
  const careful = fake.take();
  await careful.answer(grant(null));
  act.attempt(second);
  await settle();

  expect(careful.text).toMatch(/\.acquire\(/);
  expect(careful.parameters[3]).toBe("true");
  expect(first.answers.map(({ outcome }) => outcome)).toEqual(["granted"]);
  expect(fake.take().text).toContain("acquire_shares(");
});

test("a key whose row stays locked is not waited for, and neither are those after it in the same turn", async () => {
  const fake = new FakeActs();
  const act = new AcquireAct(fake.acts);
  const asking = ["a", "b"].map((key) => act.look(look(key, {})));
  await settle();
  await fake.take().answer({ ...busy, item: 1, ticket: "3", proof: "-3" }, { ...busy, item: 2 });
  const ofA = fake.take();
  await ofA.fail(serverError("55P03"));

  expect(ofA.parameters).toContain("{3}");
  expect(fake.statements).toEqual([]);
  const busyOnes = await Promise.all(asking);
  expect(busyOnes.map((answer) => answer.outcome === "busy" && answer.ticket)).toEqual([
    { number: 3n, proof: -3n },
    { number: 1n, proof: 1n },
  ]);
});

test.each([
  ["this process", 7, { isNextOurs: true }, []],
  ["another", 9, { isNextOurs: null }, ["a"]],
  ["to be found out", 0, { isNextOurs: null }, ["a"]],
  ["nobody", null, { isNextOurs: null }, []],
])("a share's release says who is next: %s", async (_, next, said, told) => {
  const fake = new FakeActs();
  const answers: ReleaseAnswer[] = [];
  new ReleaseAct(fake.acts).release({
    key: "a",
    token: crypto.randomUUID(),
    fence: 5n,
    isShared: true,
    onSent: () => false,
    onAnswer: (answer) => void answers.push(answer),
    onFailure: (error) => {
      throw error;
    },
  });
  await settle();
  const { text, answer } = fake.take();
  await answer({ others: next === null ? null : JSON.stringify([[1, "released", null, next]]) });

  expect(text).toContain("release_shares(");
  expect(answers).toEqual([{ outcome: "released", reason: null, ...said }]);
  expect(fake.told).toEqual(told);
});
