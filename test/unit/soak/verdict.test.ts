// Whether the verdict sees a leak of each kind, and none where there is only noise.
import { expect, test } from "vitest";
import type { ServerSample, TableSample } from "../../soak/samples.js";
import { judge } from "../../soak/verdict.js";
import { type Doctored, makeRun, ofClients, ofServer } from "./run.js";

type Doctor = (sample: Doctored, at: number) => void;

const grown = (doctor: Doctor): readonly string[] =>
  judge(makeRun(doctor)).findings.flatMap(({ what, isMet }) => (isMet === false ? [what] : []));

const rows =
  (table: keyof ServerSample["rows"], more: number): Doctor =>
  (sample, at) =>
    ofServer(sample, (server) => ({ rows: { ...server.rows, [table]: server.rows[table] + more * at } }));

const inTable =
  (name: string, change: (table: TableSample, at: number) => Partial<TableSample>): Doctor =>
  (sample, at) =>
    ofServer(sample, ({ tables }) => ({
      tables: tables.map((table) => (table.table === name ? { ...table, ...change(table, at) } : table)),
    }));

test("a run with faults and noise is flat", () => {
  const { findings, problems, isFlat } = judge(makeRun());
  expect(findings.filter(({ isMet }) => isMet !== true)).toEqual([]);
  expect(problems).toEqual([]);
  expect(isFlat).toBe(true);
});

const leaks: readonly (readonly [leak: string, seenAs: string, doctor: Doctor])[] = [
  [
    "the heap of one client, 5 MB an hour",
    "client 2: heap",
    (sample, at) =>
      ofClients(({ worker, heapMb }) => ({ heapMb: heapMb && heapMb + (worker === 2 ? 5 * at : 0) }))(sample),
  ],
  [
    "memory of a client outside of the heap",
    "client 1: memory (RSS)",
    (sample, at) => ofClients(({ worker, rssMb }) => ({ rssMb: rssMb + (worker === 1 ? 50 * at : 0) }))(sample),
  ],
  [
    "buffers",
    "client 1: buffers outside of the heap",
    (sample, at) =>
      ofClients(({ worker, externalMb }) => ({ externalMb: externalMb + (worker === 1 ? 6 * at : 0) }))(sample),
  ],
  [
    "a timer for each of some keys",
    "client 1: timers",
    (sample, at) => ofClients(({ worker, timers }) => ({ timers: timers + (worker === 1 ? 60 * at : 0) }))(sample),
  ],
  [
    "sockets",
    "client 1: sockets and files",
    (sample, at) =>
      ofClients(({ worker, descriptors }) => ({
        descriptors: (descriptors ?? 0) + (worker === 1 ? Math.floor(10 * at) : 0),
      }))(sample),
  ],
  [
    "listeners on a signal that lives long",
    "client 2: listeners on a signal",
    (sample, at) =>
      ofClients(({ worker, listeners }) => ({ listeners: listeners + (worker === 2 ? 40 * at : 0) }))(sample),
  ],
  [
    "memory of the server, which is new after each restart",
    "server: memory of all its processes",
    (sample, at) =>
      ofServer(sample, ({ privateMb }) => {
        const restartedAt = at < 0.12 ? 0 : at < 0.62 ? 0.12 : 0.62;
        return { privateMb: (privateMb ?? 0) + 60 * (at - restartedAt) };
      }),
  ],
  [
    "connections",
    "connections of lockers",
    (sample, at) => ofServer(sample, ({ connections }) => ({ connections: connections + Math.floor(5 * at) })),
  ],
  ["keys that nobody sweeps", "rows of leases", rows("leases", 500)],
  ["shares that nobody sweeps", "rows of shares", rows("shares", 60)],
  ["entries in queues", "rows of waiters", rows("waiters", 60)],
  ["sessions of dead processes", "rows of sessions", rows("sessions", 12)],
  [
    "a listener that takes no notification",
    "queue of NOTIFY",
    (sample, at) => ofServer(sample, () => ({ notifyQueue: at / 10 })),
  ],
  [
    "the database, where no table of ours has grown",
    "database",
    (sample, at) => ofServer(sample, ({ databaseMb }) => ({ databaseMb: databaseMb + 20 * at })),
  ],
  [
    "the row of a process's counters",
    "counters: table and indexes, for each row",
    inTable("counters", ({ tableKb }, at) => ({ tableKb: tableKb + 4_000 * at * at })),
  ],
  ["a table", "leases: table", inTable("leases", ({ tableKb }, at) => ({ tableKb: tableKb + 800 * at }))],
  ["an index", "waiters: indexes", inTable("waiters", ({ indexesKb }, at) => ({ indexesKb: indexesKb + 400 * at }))],
  ["dead rows", "shares: dead rows", inTable("shares", ({ deadRows }, at) => ({ deadRows: deadRows + 8_000 * at }))],
  [
    "write-ahead log",
    "write-ahead log for each grant",
    (sample, at) => ofServer(sample, ({ walBytes }) => ({ walBytes: walBytes + 150_000_000 * at * at })),
  ],
  [
    "the median time of an acquire",
    "acquire and release: p50",
    (sample, at) => {
      if (sample.cycle !== null) sample.cycle = { ...sample.cycle, p50: sample.cycle.p50 * (1 + 2 * at) };
    },
  ],
  [
    "the slowest acquires",
    "acquire and release: p99",
    (sample, at) => {
      if (sample.cycle !== null) sample.cycle = { ...sample.cycle, p99: sample.cycle.p99 * (1 + 9 * at) };
    },
  ],
  [
    "the time until the next in line has the key",
    "from a release to the next in line: p50",
    (sample, at) => {
      if (sample.handover !== null) sample.handover = { ...sample.handover, p50: sample.handover.p50 * (1 + 2 * at) };
    },
  ],
  [
    "the slowest grants in line",
    "from a release to the next in line: p99",
    (sample, at) => {
      if (sample.handover !== null) sample.handover = { ...sample.handover, p99: sample.handover.p99 * (1 + 9 * at) };
    },
  ],
  [
    "failures",
    "acts that failed, in a sample",
    (sample, at) => {
      sample.errors = { ...sample.errors, unavailable: (sample.errors.unavailable ?? 0) + Math.round(25 * at) };
    },
  ],
  [
    "acts that are not begun, as too many never end",
    "acts not begun, in a sample",
    (sample, at) => {
      sample.skipped = at > 0.8 ? 5 : 0;
    },
  ],
  [
    "acts that are not done",
    "acts done in a sample, at least",
    (sample, at) => {
      sample.done = Math.round(sample.done * (1 - 0.4 * at));
    },
  ],
];

test.each(leaks)("it sees what grows: %s", (_, seenAs, doctor) => {
  expect(grown(doctor)).toEqual([seenAs]);
  expect(judge(makeRun(doctor)).isFlat).toBe(false);
});

test("there is a leak here for everything that is compared, but the most that the load explains", () => {
  const seen = new Set(leaks.map(([, seenAs]) => seenAs.replace(/^(client) \d|^(leases|waiters|shares)(?=:)/, "")));
  const kinds = new Set(
    judge(makeRun()).findings.map(({ what }) =>
      what.replace(/^(client) \d|^(leases|waiters|shares|sessions)(?=:)/, ""),
    ),
  );
  expect([...kinds].filter((kind) => !seen.has(kind))).toEqual([
    "rows of leases, at most",
    "rows of counters, at most",
  ]);
});

test("rows may be no more at any moment than the load explains", () => {
  const once: Doctor = (sample, at) => {
    if (at > 0.5 && at < 0.51) ofServer(sample, (server) => ({ rows: { ...server.rows, leases: 3_001 } }));
  };
  expect(grown(once)).toEqual(["rows of leases, at most"]);
  expect(grown(rows("counters", 90))).toEqual(["rows of counters, at most"]);
});

test("what grows while it warms up does not count", () => {
  const warm = (sample: Doctored, at: number) =>
    ofClients(({ heapMb, rssMb }) => ({
      heapMb: heapMb && heapMb - Math.max(0, 8 - 40 * at),
      rssMb: rssMb - Math.max(0, 40 - 200 * at),
    }))(sample);
  expect(grown(warm)).toEqual([]);
});

test("queues that are long for most of the time, as the machine is busy, are no leak", () => {
  const crowded: Doctor = (sample, at) => {
    const isShort = Math.round(at * 240) % 5 === 0;
    if (at < 0.8 || isShort) return;
    ofServer(sample, ({ rows }) => ({ rows: { ...rows, waiters: rows.waiters + 200, shares: rows.shares + 60 } }));
    ofClients(({ timers, heapMb }) => ({ timers: timers + 90, heapMb: heapMb && heapMb + 1.5 }))(sample);
  };
  expect(grown(crowded)).toEqual([]);
});

test("a machine that gets slower is not taken for a library that does", () => {
  const slow: Doctor = (sample, at) => {
    for (const of of ["cycle", "handover", "floor"] as const) {
      const { p50, p99 } = sample[of] ?? { p50: 0, p99: 0 };
      sample[of] = { p50: p50 * (1 + 4 * at), p99: p99 * (1 + 4 * at) };
    }
  };
  expect(grown(slow)).toEqual([]);
});

test("times and failures do not count on a machine that is busy with other work, and memory does", () => {
  const busy: Doctor = (sample, at) => {
    sample.machineLoad = 5;
    sample.cycle = { p50: 8 + 40 * at, p99: 40 };
    sample.done = Math.round(sample.done * (1 - 0.4 * at));
    sample.errors = { unavailable: Math.round(50 * at) };
  };
  expect(grown(busy)).toHaveLength(3);
  expect(judge(makeRun(busy))).toMatchObject({ isFlat: true, text: expect.stringContaining("too busy") });
  const leaking = makeRun((sample, at) => {
    busy(sample, at);
    rows("sessions", 12)(sample, at);
  });
  expect(judge(leaking).isFlat).toBe(false);
});

test("a machine that gets faster hides nothing", () => {
  const hidden: Doctor = (sample, at) => {
    if (sample.floor !== null) sample.floor = { p50: sample.floor.p50 * (1 - at / 2), p99: sample.floor.p99 };
    if (sample.cycle !== null) sample.cycle = { ...sample.cycle, p50: sample.cycle.p50 * (1 + 2 * at) };
  };
  expect(grown(hidden)).toEqual(["acquire and release: p50"]);
});

test("a run that is too short is not judged by what grows, but by what must never be", () => {
  const leaking = makeRun(rows("leases", 2_000), 2);
  expect(judge(leaking)).toMatchObject({ isJudged: false, isFlat: true });
  expect(judge({ ...leaking, problems: ["worker 1 ended by itself"] })).toMatchObject({ isFlat: false });
});

test("an error that no fault explains is a problem", () => {
  const { problems, isFlat } = judge(
    makeRun((sample, at) => {
      if (at === 1) sample.errors = { ...sample.errors, "TypeError: x is undefined": 1 };
    }),
  );
  expect(problems).toEqual(["a call failed with TypeError: x is undefined"]);
  expect(isFlat).toBe(false);
});

test("what was not measured is neither met nor missed", () => {
  const run = makeRun((sample) => ofServer(sample, () => ({ privateMb: null, proportionalMb: null })));
  const { findings, isFlat } = judge(run);
  expect(findings.find(({ what }) => what.startsWith("server: memory"))).toMatchObject({ late: null, isMet: null });
  expect(isFlat).toBe(true);
});
