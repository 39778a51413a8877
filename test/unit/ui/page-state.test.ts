// What the page makes of what it is told: rows of keys, rates, the graph of those who wait, names to run and to look at.
import { expect, test } from "vitest";
import { drawn, waitsOf } from "../../../src/ui/page/state/graph.js";
import { filtered, type KeyFilter, keyRows, prefixesOf, sorted } from "../../../src/ui/page/state/keys.js";
import { quoteArgument, quoteLiteral } from "../../../src/ui/page/state/quote.js";
import { percentile, percentiles, rates } from "../../../src/ui/page/state/rates.js";
import { hrefOf, toRoute } from "../../../src/ui/page/state/route.js";
import { Store } from "../../../src/ui/page/state/store.js";
import { visible, visibleName } from "../../../src/ui/page/state/visible.js";
import { type Section, type StateMessage, type StatPoint, sections, statColumns } from "../../../src/ui/protocol.js";

type Rows = { readonly [name in Section]?: readonly Readonly<Record<string, unknown>>[] };

function message(rows: Rows, rest: Partial<StateMessage> = {}): StateMessage {
  const changes = Object.fromEntries(
    Object.entries(rows).map(([section, all]) => [
      section,
      {
        set: all.map(({ id, ...values }) => [id, sections[section as Section].map((column) => values[column] ?? null)]),
        gone: [],
      },
    ]),
  );
  return { isWhole: true, at: 10_000, readMs: 2, changes, points: [], stats: [], events: [], ...rest } as StateMessage;
}

function storeOf(rows: Rows): Store {
  const store = new Store();
  store.take(message(rows));
  return store;
}

const lease = { state: "held", mode: "exclusive", ttlMs: 30_000, blockingPid: null, blockingTransaction: null };

test("a store: whole states replace, changes change; what it keeps is bounded", () => {
  const store = new Store();
  let told = 0;
  const stop = store.subscribe(() => {
    told += 1;
  });
  store.take(
    message({
      sessions: [
        { id: "1", owner: "a" },
        { id: "2", owner: "b" },
      ],
    }),
  );
  expect(store.rows("sessions").get("2")).toMatchObject({ id: "2", owner: "b", host: null });
  store.take({ ...message({}), isWhole: false, changes: { sessions: { set: [], gone: ["1"] } } });
  expect([...store.rows("sessions").keys()]).toEqual(["2"]);
  store.take({ ...message({}), isWhole: false, changes: { leases: { set: [], gone: [], isCut: true } } });
  expect([...store.cut]).toEqual(["leases"]);
  store.take({ ...message({}), isWhole: false, changes: { leases: { set: [], gone: [] } } });
  expect(store.cut.size).toBe(0);
  store.troubled({ kind: "other", message: "m", statement: null });
  expect(store.trouble).not.toBeNull();
  store.take(message({}));
  expect(store.trouble).toBeNull();
  expect(store.rows("sessions").size).toBe(0);
  expect(told).toBe(6);
  stop();
  for (let n = 0; n < 4_000; n += 1) {
    const at = n * 1_000;
    const event = { at, key: "a", what: "granted", owner: null, fence: null } as const;
    store.take(message({}, { isWhole: false, points: [[at, 0, 0, 0]], stats: [[at]], events: [event] }));
  }
  expect([store.points.length, store.stats.length, store.events.length]).toEqual([3_600, 720, 1_000]);
  expect(store.points.at(-1)?.[0]).toBe(3_999_000);
  expect(told).toBe(6);
});

test("one row for each key: the oldest of those who share it, the last end, the highest fence, and who waits", () => {
  const store = storeOf({
    leases: [
      { ...lease, id: "1", key: "s", mode: "shared", owner: "late", acquiredAt: 9_000, freeAt: 20_000, fence: "10" },
      { ...lease, id: "2", key: "s", mode: "shared", owner: "early", acquiredAt: 8_000, freeAt: 15_000, fence: "9" },
      { ...lease, id: "3", key: "s", mode: null, state: "blocked", fence: "10", blockingPid: 77 },
      { ...lease, id: "4", key: "over", state: "orphaned", owner: "dead", fence: "3" },
    ],
    waits: [
      { id: "1", key: "s", isAlive: true },
      { id: "2", key: "s", isAlive: false },
      { id: "3", key: "free", isAlive: true },
    ],
  });
  const rows = new Map(keyRows(store).map((row) => [row.key, row]));
  expect(rows.get("s")).toEqual({
    key: "s",
    state: "shared",
    owner: "early",
    holders: 2,
    since: 8_000,
    freeAt: 20_000,
    ttlMs: 30_000,
    fence: "10",
    waiters: 1,
    isBlocked: true,
  });
  expect(rows.get("over")).toMatchObject({ state: "orphaned", owner: "dead", holders: 0, since: null, waiters: 0 });
  expect(rows.get("free")).toMatchObject({ state: "waited for", holders: 0, waiters: 1 });
  expect(rows.size).toBe(3);
});

test("keys are found by text in key or owner, by prefix and by state; missing values come last both ways", () => {
  const store = storeOf({
    leases: [
      { ...lease, id: "1", key: "order:1", owner: "Api", fence: "9", acquiredAt: 2 },
      { ...lease, id: "2", key: "order:2", owner: "job", fence: "10", state: "cooling" },
      { ...lease, id: "3", key: "mail/x", owner: "job", fence: "11", acquiredAt: 1 },
    ],
  });
  const rows = keyRows(store);
  const none: KeyFilter = { text: "", prefix: "", states: new Set() };
  const keys = (filter: Partial<KeyFilter>) => filtered(rows, { ...none, ...filter }).map(({ key }) => key);
  expect(keys({ text: "API" })).toEqual(["order:1"]);
  expect(keys({ text: "ORDER" })).toEqual(["order:1", "order:2"]);
  expect(keys({ prefix: "mail/" })).toEqual(["mail/x"]);
  expect(keys({ states: new Set(["cooling"]) })).toEqual(["order:2"]);
  const order = (by: "since" | "fence", isDescending: boolean) => sorted(rows, by, isDescending).map(({ key }) => key);
  expect(order("since", false)).toEqual(["mail/x", "order:1", "order:2"]);
  expect(order("since", true)).toEqual(["order:1", "mail/x", "order:2"]);
  expect(order("fence", false)).toEqual(["order:1", "order:2", "mail/x"]); // by number, not by text
  expect(prefixesOf(rows, 10)).toEqual(["order:", "mail/"]);
  expect(prefixesOf(rows, 1)).toEqual(["order:"]);
});

function stat(atMs: number, values: Partial<Record<(typeof statColumns)[number], unknown>>): StatPoint {
  return [atMs, ...statColumns.map((name) => values[name] ?? null)];
}

test("rates are over ten seconds: lockers write their counters no more often", () => {
  const points = [0, 5, 10, 15, 20].map((s) => stat(s * 1_000, { acquired: Math.floor(s / 10) * 100, refused: 0 }));
  expect(rates(points, ["acquired", "refused"])).toEqual({ times: [5, 10, 15, 20], values: [0, 10, 10, 10] });
  expect(rates(points, ["acquired"], 60_000).values.at(-1)).toBe(600);
  // counters that were purged never make a rate negative
  expect(rates([stat(0, { acquired: 9 }), stat(5_000, { acquired: 3 })], ["acquired"]).values).toEqual([0]);
  expect(rates([stat(0, {})], ["acquired"])).toEqual({ times: [], values: [] });
});

test("percentiles of what was counted meanwhile: the upper bound of the bucket; none where nothing was", () => {
  expect(percentile([], 0.5)).toBeNull();
  expect(percentile([0, 0], 0.5)).toBeNull();
  expect(percentile([1, 0, 0, 99], 0.5)).toBe(8);
  expect(percentile([99, 0, 0, 1], 0.99)).toBe(1);
  expect(percentile([98, 0, 0, 2], 0.99)).toBe(8);
  const points = [
    stat(0, { waits: [5, 0, 0] }),
    stat(10_000, { waits: [5, 0, 3] }),
    stat(20_000, { waits: [5, 0, 3] }),
  ];
  expect(percentiles(points, "waits", 0.5).values).toEqual([4, null]);
});

test("who waits for whom: each holder of each key, those who are stuck first; the drawing keeps all of them apart", () => {
  const store = storeOf({
    leases: [
      { ...lease, id: "1", key: "x", sessionId: 1, owner: "one" },
      { ...lease, id: "2", key: "y", sessionId: 2, owner: "two" },
      { ...lease, id: "3", key: "z", sessionId: null, owner: "no session" },
      { ...lease, id: "4", key: "z", sessionId: 2, owner: "two" },
      { ...lease, id: "5", key: "w", sessionId: 9, owner: "unrelated", state: "cooling" },
    ],
    waits: [
      { id: "1", key: "z", sessionId: 3, owner: "three", since: 1, isAlive: true },
      { id: "2", key: "y", sessionId: 1, owner: "one", since: 5, isAlive: true },
      { id: "3", key: "x", sessionId: 2, owner: "two", since: 6, isAlive: true },
      { id: "4", key: "w", sessionId: 3, owner: "three", since: 1, isAlive: true },
      { id: "5", key: "x", sessionId: 4, owner: "four", since: 1, isAlive: false },
    ],
    deadlocks: [{ id: "d", keys: ["y", "x"], sessionIds: [1, 2], owners: ["one", "two"], since: 6 }],
  });
  const waits = waitsOf(store);
  expect(waits.edges.map(({ from, to, key, isStuck }) => `${from} > ${to}: ${key}${isStuck ? "!" : ""}`)).toEqual([
    "session 1 > session 2: y!",
    "session 2 > session 1: x!",
    "session 3 > owner no session: z",
    "session 3 > session 2: z",
  ]);
  expect([...waits.names.values()].sort()).toEqual(["no session", "one", "three", "two"]);
  const drawing = drawn(waits, (name) => name);
  expect(drawing.nodes).toHaveLength(4);
  expect(drawing.lines).toHaveLength(4);
  expect(new Set(drawing.nodes.map(({ x, y }) => `${x} ${y}`)).size).toBe(4);
  for (const { x, y } of [...drawing.nodes, ...drawing.lines]) {
    expect(x).toBeGreaterThan(0);
    expect(x).toBeLessThan(drawing.width);
    expect(y).toBeGreaterThan(0);
    expect(y).toBeLessThan(drawing.height);
  }
  expect(drawn({ names: new Map(), edges: [] }, (name) => name).nodes).toEqual([]);
});

test("any key can be linked to", () => {
  for (const key of ["a", "a/b", "#/key/x", "%", "a b?c=d&e", "ü\u{1f512}", "\n", ""]) {
    expect(toRoute(hrefOf({ view: "key", key }))).toEqual({ view: "key", key });
  }
  expect(toRoute("#/key/%zz")).toEqual({ view: "key", key: "%zz" });
  expect(toRoute("")).toEqual({ view: "now" });
  expect(toRoute("#/nothing")).toEqual({ view: "now" });
  expect(toRoute(hrefOf({ view: "time" }))).toEqual({ view: "time" });
});

test("what cannot be seen is written out, and commands are quoted for who reads them", () => {
  expect(visible("a\u202eb\u0000\n\u200bü\u{e000}")).toBe("a\\u{202e}b\\u{0}\\u{a}\\u{200b}ü\\u{e000}");
  // spaces that a browser would leave out
  expect(["a b", " a", "a ", "a  b"].map(visibleName)).toEqual(["a b", "\\u{20}a", "a\\u{20}", "a\\u{20}\\u{20}b"]);
  expect(quoteLiteral("o'k\\n")).toBe("E'o''k\\\\n'");
  expect(quoteLiteral("order:1")).toBe("'order:1'");
  expect(quoteArgument("order:1/x_y@z")).toBe("order:1/x_y@z");
  expect(quoteArgument("a b")).toBe("'a b'");
  expect(quoteArgument("$(id)'`")).toBe("'$(id)'\\''`'");
  expect(quoteArgument("-f")).toBe("-- '-f'"); // quotes alone would leave it an option
  // shows nothing in most fonts, without being a space or a control character
  expect(visible("a\u3164b\u115f\u034f\ufe0f\u2800\u205f\u202f")).toBe(
    "a\\u{3164}b\\u{115f}\\u{34f}\\u{fe0f}\\u{2800}\\u{205f}\\u{202f}",
  );
});

test("a thousand who wait for a thousand who share: as many waits are made as can be drawn, and all are counted", () => {
  const store = storeOf({
    leases: Array.from({ length: 1_000 }, (_, n) => ({
      ...lease,
      id: `h${n}`,
      key: "s",
      mode: "shared",
      sessionId: n,
      owner: `h${n}`,
    })),
    waits: Array.from({ length: 1_000 }, (_, n) => ({
      id: `w${n}`,
      key: "s",
      sessionId: 5_000 + n,
      owner: `w${n}`,
      since: 9_000 - n,
      isAlive: true,
    })),
  });
  const waits = waitsOf(store);
  expect(waits.edges.length).toBeLessThanOrEqual(100);
  expect(waits.total).toBe(1_000_000);
  expect(waits.edges[0]?.from).toBe("session 5999"); // who has waited longest
});
