import { describe, expect, test } from "vitest";
import { emptyHash } from "../../../src/instances/hash64.js";
import { Router } from "../../../src/instances/router.js";
import { COUNT, shapes, uuid } from "./keys.js";

const MASK = 2n ** 64n - 1n;

/** The same functions, by the letter of their definitions. */
function fnv1a(text: string): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(text)) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & MASK;
  return hash;
}

function fmix64(value: bigint): bigint {
  let hash = value;
  hash = ((hash ^ (hash >> 33n)) * 0xff51afd7ed558ccdn) & MASK;
  hash = ((hash ^ (hash >> 33n)) * 0xc4ceb9fe1a85ec53n) & MASK;
  return hash ^ (hash >> 33n);
}

type Weights = Readonly<Record<string, number>>;

function expected(key: string, weights: Weights): string {
  const scores = Object.entries(weights).map(([name, weight]) => {
    const hash = fmix64(fnv1a(key) ^ fmix64(fnv1a(name)));
    return { name, score: -weight / Math.log((Number(hash >> 12n) + 0.5) / 2 ** 52) };
  });
  return scores.sort((a, b) => b.score - a.score)[0]?.name ?? "";
}

function routerOf(weights: Weights, prefix = ""): Router<string> {
  return new Router(
    Object.entries(weights).map(([name, weight]) => ({ name, weight, target: name })),
    prefix,
  );
}

function hex({ high, low }: { high: number; low: number }): string {
  return ((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)).toString(16).padStart(16, "0");
}

describe("the hash", () => {
  test.each([
    // RFC 9923, appendix C
    ["", "cbf29ce484222325"],
    ["a", "af63dc4c8601ec8c"],
    ["foobar", "85944171f73967e8"],
  ])("of %j is that of the standard", (text, value) => {
    const hash = emptyHash();
    hash.addText(text);
    expect(hex(hash)).toBe(value);
  });

  test("is over the bytes of UTF-8, and mixed as MurmurHash3 does", () => {
    const texts = ["é", "ߺ", "ࠀ", "日本", "\u{10000}", "😀x", "\u{10ffff}", "\u0000\u007f\u0080\u07ff\uffff"];
    for (const text of [...texts, ...Array.from({ length: 500 }, (_, index) => uuid(index))]) {
      const hash = emptyHash();
      hash.addText(text);
      const plain = hex(hash);
      hash.mix();
      expect([text, plain, hex(hash)]).toEqual([
        text,
        fnv1a(text).toString(16).padStart(16, "0"),
        fmix64(fnv1a(text)).toString(16).padStart(16, "0"),
      ]);
    }
  });

  test("is a fraction between 0 and 1, neither included", () => {
    const hash = emptyHash();
    [hash.high, hash.low] = [0, 0];
    expect(hash.toFraction()).toBe(2 ** -53);
    [hash.high, hash.low] = [-1, -1];
    expect(hash.toFraction()).toBeLessThan(1);
  });
});

describe("a key belongs to", () => {
  // Computed by a program in another language. Whoever changes one of these moves keys of every application to another database.
  test("the same instance in every version", () => {
    const three = routerOf({ east: 2, west: 1, north: 1.5 });
    const eight = routerOf(Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`shard-${index}`, 1])));
    const known = [
      ["order:1", "west", "shard-2"],
      ["order:2", "west", "shard-5"],
      ["order:3", "west", "shard-5"],
      ["order:4", "east", "shard-3"],
      ["a", "north", "shard-7"],
      ["report:daily", "north", "shard-7"],
      ["straße", "north", "shard-3"],
      ["東京", "north", "shard-5"],
      ["😀", "north", "shard-1"],
      ["7f3f1c1e-2a0b-4d55-9d0e-1f2a3b4c5d6e", "north", "shard-7"],
      ["x".repeat(512), "north", "shard-4"],
    ] as const;
    expect(known.map(([key]) => [key, three.of(key), eight.of(key)])).toEqual(known);
  });

  test("the one with the highest score, as it is defined", () => {
    const sets: readonly Weights[] = [
      { east: 1, west: 2, north: 3 },
      { a: 0.001, b: 1e6, c: 3.5 },
      Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`shard-${index}`, 1])),
    ];
    for (const weights of sets) {
      const router = routerOf(weights);
      for (const keys of Object.values(shapes))
        for (const key of keys.slice(0, 300)) expect([key, router.of(key)]).toEqual([key, expected(key, weights)]);
    }
  });

  test("the one of its full key, whether the prefix is a part of it or comes first", () => {
    const weights = { east: 1, west: 1, north: 1 };
    const router = routerOf(weights, "größe:");
    const keys = shapes.uuids?.slice(0, 200) ?? [];
    expect(keys.map((key) => router.of(key))).toEqual(keys.map((key) => expected(`größe:${key}`, weights)));
    expect(keys.map((key) => router.ofFullKey(key))).toEqual(keys.map((key) => expected(key, weights)));
  });

  test("any instance that has a name of its own, also the one with its own text as a name", () => {
    const names = Array.from({ length: 200 }, (_, index) => `name-${index}`);
    const found = names.filter((name) => routerOf({ [name]: 1, other: 1 }).of(name) === name);
    expect(found.length).toBeGreaterThan(70);
    expect(found.length).toBeLessThan(130);
  });

  test("no instance with a weight of 0 or less", () => {
    const router = routerOf({ a: 1, b: 0, c: -5, d: 1 });
    expect(new Set(shapes.uuids?.map((key) => router.of(key)))).toEqual(new Set(["a", "d"]));
    expect(() => routerOf({ a: 0, b: -1 })).toThrow("no instance has a weight above 0");
  });

  test("some instance when it is no text, for that has to be refused where keys are checked", () => {
    const router = routerOf({ b: 0, a: 1 });
    for (const key of [undefined, null, 5, {}, [], Symbol("a")]) expect(router.of(key as never)).toBe("a");
  });
});

describe("the keys of an application", () => {
  const weights = { east: 1, west: 2, north: 3 };
  const total = 6;

  test.each(Object.keys(shapes))("%s spread by the weights, within 2 percent", (shape) => {
    const keys = shapes[shape] ?? [];
    const router = routerOf(weights);
    const counts: Record<string, number> = { east: 0, west: 0, north: 0 };
    for (const key of keys) counts[router.of(key)] = (counts[router.of(key)] ?? 0) + 1;
    for (const [name, weight] of Object.entries(weights)) {
      const ratio = (counts[name] ?? 0) / ((COUNT * weight) / total);
      expect([name, ratio]).toEqual([name, expect.closeTo(1, 1)]);
      expect(Math.abs(ratio - 1)).toBeLessThan(0.02);
    }
  });

  const moves = (before: Weights, after: Weights): readonly (readonly [from: string, to: string])[] => {
    const [was, is] = [routerOf(before), routerOf(after)];
    return Object.values(shapes)
      .flat()
      .map((key) => [was.of(key), is.of(key)] as const)
      .filter(([from, to]) => from !== to);
  };
  const all = Object.keys(shapes).length * COUNT;

  test("move only to an instance that is new, and only as many as it has to get", () => {
    const moved = moves(weights, { ...weights, south: 2 });
    expect(new Set(moved.map(([, to]) => to))).toEqual(new Set(["south"]));
    expect(moved.length / ((all * 2) / 8)).toBeCloseTo(1, 2);
  });

  test("move only from an instance that is taken away, in the parts of the others", () => {
    const { west, ...others } = weights;
    const moved = moves(weights, others);
    expect(new Set(moved.map(([from]) => from))).toEqual(new Set(["west"]));
    expect(moved.length / ((all * west) / total)).toBeCloseTo(1, 2);
    expect(moved.filter(([, to]) => to === "north").length / moved.length).toBeCloseTo(3 / 4, 2);
  });

  test("a weight of 0 moves as taking it away does", () => {
    const { west: _, ...others } = weights;
    expect(moves({ ...weights, west: 0 }, others)).toEqual([]);
  });

  test("move only to an instance whose weight grows, only from one whose weight shrinks", () => {
    const grown = moves(weights, { ...weights, west: 3 });
    const shrunk = moves(weights, { ...weights, west: 1 });
    expect(new Set(grown.map(([, to]) => to))).toEqual(new Set(["west"]));
    expect(new Set(shrunk.map(([from]) => from))).toEqual(new Set(["west"]));
    expect(grown.length / (all * (3 / 7 - 2 / 6))).toBeCloseTo(1, 1);
  });

  test("stay where they are when all weights grow alike, or the order of the names changes", () => {
    expect(moves(weights, { east: 10, west: 20, north: 30 })).toEqual([]);
    expect(moves(weights, { north: 3, east: 1, west: 2 })).toEqual([]);
  });
});
