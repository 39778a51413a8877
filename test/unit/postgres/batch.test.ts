// One statement in flight, and what becomes of a batch that fails.
import { expect, test } from "vitest";
import { type LeaseholdError, UnavailableError } from "../../../src/errors/errors.js";
import { Batch, type Batched } from "../../../src/postgres/acts/acts.js";
import { settle } from "../manual-clock.js";

class Item implements Batched {
  readonly name: string;
  failure: LeaseholdError | null = null;
  isAnswered = false;
  constructor(name: string) {
    this.name = name;
  }
  onFailure(error: LeaseholdError): void {
    if (this.isAnswered || this.failure !== null) throw new Error(`${this.name} is told twice`);
    this.failure = error;
  }
}

function serverError(code: string): Error {
  return Object.assign(new Error(`SQLSTATE ${code}`), { code, severity: "ERROR" });
}

interface Sent {
  readonly names: string;
  succeed(): Promise<void>;
  fail(error: unknown): Promise<void>;
}

function openBatch(maxItems = 1_000) {
  const sent: Sent[] = [];
  const send = (items: readonly Item[]): Promise<void> =>
    new Promise((resolve, reject) => {
      sent.push({
        names: items.map(({ name }) => name).join(""),
        succeed: () => {
          for (const item of items) item.isAnswered = true;
          resolve();
          return settle();
        },
        fail: (error) => {
          reject(error);
          return settle();
        },
      });
    });
  const toPublicError = (cause: unknown) => new UnavailableError({ outcome: "not-sent", cause });
  const batch = new Batch<Item>({ send, maxItems, toPublicError });
  const add = (names: string): Item[] =>
    [...names].map((name) => {
      const item = new Item(name);
      batch.add(item);
      return item;
    });
  return { batch, add, sent, names: () => sent.map(({ names }) => names) };
}

test("what is asked in one turn goes together, and what is asked meanwhile into the next statement", async () => {
  const { batch, add, sent, names } = openBatch();
  add("ab");
  expect(names()).toEqual([]);
  await settle();
  add("c");
  add("d");
  await settle();
  expect(names()).toEqual(["ab"]); // one in flight
  expect(batch.isIdle).toBe(false);
  await sent[0]?.succeed();
  expect(names()).toEqual(["ab", "cd"]);
  await sent[1]?.succeed();
  expect(batch.isIdle).toBe(true);
  add("e");
  await settle();
  expect(names()).toEqual(["ab", "cd", "e"]);
});

test("a statement has maxItems at most, in the order in which they were asked", async () => {
  const { add, sent, names } = openBatch(3);
  add("abcdefgh");
  await settle();
  await sent[0]?.succeed();
  add("i");
  await sent[1]?.succeed();
  await sent[2]?.succeed();
  expect(names()).toEqual(["abc", "def", "ghi"]);
});

test.each(["40001", "40P01"])("after a conflict (%s) the same is sent again, ten times at most", async (code) => {
  const { add, sent, names } = openBatch();
  const items = add("ab");
  await settle();
  for (let n = 0; n < 11; n += 1) {
    expect(items.map(({ failure }) => failure)).toEqual([null, null]);
    await sent[n]?.fail(serverError(code));
  }
  expect(names()).toEqual(Array.from({ length: 11 }, () => "ab"));
  expect(items[0]?.failure?.cause).toMatchObject({ code });
  expect(items[1]?.failure?.cause).toMatchObject({ code });
});

test("one bad item does not fail the others: the batch is halved until it is alone", async () => {
  const { add, sent, names } = openBatch();
  const items = add("abcdefg");
  await settle();
  for (let n = 0; n < sent.length; n += 1) {
    const { names: asked, succeed, fail } = sent[n] as Sent;
    await (asked.includes("e") ? fail(serverError("22P02")) : succeed());
  }
  expect(names()).toEqual(["abcdefg", "abc", "defg", "de", "d", "e", "fg"]);
  expect(items.filter(({ failure }) => failure !== null).map(({ name }) => name)).toEqual(["e"]);
  expect(items.filter(({ isAnswered }) => isAnswered)).toHaveLength(6);
});

test.each([
  ["is lost with its connection", new Error("closed")],
  ["is refused by the server", serverError("42501")],
  ["would have waited for a stranger", serverError("55P03")],
])("a statement that %s fails all of its items, and no others", async (_, error) => {
  const { add, sent, names } = openBatch();
  const items = add("ab");
  await settle();
  const [later] = add("c");
  await sent[0]?.fail(error);
  expect(items.map(({ failure }) => failure?.cause)).toEqual([error, error]);
  await sent[1]?.succeed();
  expect(names()).toEqual(["ab", "c"]);
  expect(later?.isAnswered).toBe(true);
});
