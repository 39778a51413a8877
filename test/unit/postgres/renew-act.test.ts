// How renewals are grouped into statements.
import { expect, test } from "vitest";
import { RenewAct } from "../../../src/postgres/acts/renew.js";
import type { PendingRenewal, RenewAnswer } from "../../../src/store/messages.js";
import { settle } from "../manual-clock.js";
import { FakeActs } from "./fake-acts.js";

class Renewal implements PendingRenewal {
  readonly key: string;
  readonly token = "token";
  readonly fence = 1n;
  askedTtlMs: number | null;
  readonly answers: string[] = [];
  readonly #onAnswered: (() => void) | undefined;

  constructor(key: string, askedTtlMs: number | null, onAnswered?: () => void) {
    this.key = key;
    this.askedTtlMs = askedTtlMs;
    this.#onAnswered = onAnswered;
  }

  onAnswer({ outcome }: RenewAnswer): void {
    this.answers.push(outcome);
    this.#onAnswered?.();
  }

  onFailure(error: Error): void {
    this.answers.push(error.message);
  }
}

test("a lease that is due again with another time while a batch of several times is on its way is asked for once each time", async () => {
  const fake = new FakeActs();
  const act = new RenewAct(fake.acts);
  const again = new Renewal("a", 30_000, () => {
    if (again.answers.length === 1) {
      again.askedTtlMs = null;
      act.renew(again);
    }
  });
  const others = [new Renewal("b", 10_000), new Renewal("c", null)];
  for (const renewal of [again, ...others]) act.renew(renewal);

  const keys: unknown[] = [];
  for (let statements = 0; statements < 4; statements += 1) {
    await settle();
    const statement = fake.take();
    keys.push([statement.parameters[3], statement.parameters[4]]);
    await statement.answer({ expires: 0, others: null });
  }
  await settle();
  expect(fake.statements).toEqual([]);
  expect(keys).toEqual([
    [30_000, '{"a"}'],
    [10_000, '{"b"}'],
    [null, '{"c"}'],
    [null, '{"a"}'],
  ]);
  expect([again, ...others].map(({ answers }) => answers.length)).toEqual([2, 1, 1]);
});
