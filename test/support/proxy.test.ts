import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Cluster, startCluster } from "./cluster.js";
import { type PostgresProxy, startProxy } from "./proxy.js";

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster();
  await (await cluster.sql())`create table written (n int)`;
});

afterAll(() => cluster.destroy());

/** A client by way of a proxy; a short backoff, for the tests' sake. */
async function through(use: (sql: postgres.Sql, proxy: PostgresProxy) => Promise<void>): Promise<void> {
  await using proxy = await startProxy(cluster.url);
  const sql = postgres(proxy.url(cluster.url), { max: 1, backoff: () => 0.05, max_lifetime: null, fetch_types: false });
  try {
    await use(sql, proxy);
  } finally {
    await sql.end({ timeout: 0 });
  }
}

const isWritten = async (n: number) => (await (await cluster.sql())`select from written where n = ${n}`).length === 1;
const isPending = async (promise: Promise<unknown>) => {
  const pending = Symbol();
  const timer = new Promise((resolve) => setTimeout(resolve, 200, pending));
  return (await Promise.race([promise.catch(() => {}), timer])) === pending;
};

test("statements pass, pipelined, and are seen once each", () =>
  through(async (sql, proxy) => {
    const seen = proxy.onStatement(/select 7/);
    const answers = await Promise.all([sql`select 1 as n`, sql`select 7 as n`, sql.unsafe("select 2 as n").simple()]);
    expect(answers.map(([row]) => row?.n)).toEqual([1, 7, 2]);
    expect((await seen).connection.applicationName).toBe("postgres.js");
    await sql`select 7 as n`;
    expect(proxy.statements.map(({ sql }) => sql)).toEqual([
      "select 1 as n",
      "select 7 as n",
      "select 2 as n",
      "select 7 as n",
    ]);
  }));

test("a cut fails what is in flight, and the next connection works", () =>
  through(async (sql, proxy) => {
    const sleeping = expect(sql`select pg_sleep(60)`).rejects.toMatchObject({ code: "ECONNRESET" });
    await proxy.onStatement(/pg_sleep/);
    proxy.cutAll();
    await sleeping;
    expect(await sql`select 1 as n`).toMatchObject([{ n: 1 }]);
  }));

test("refused connections", () =>
  through(async (sql, proxy) => {
    await proxy.refuse(true);
    await expect(sql`select 1`).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await proxy.refuse(false);
    expect(await sql`select 1 as n`).toMatchObject([{ n: 1 }]);
  }));

test.for(["both", "to-server", "to-client"] as const)("a black hole: %s", (direction) =>
  through(async (sql, proxy) => {
    const n = { both: 1, "to-server": 2, "to-client": 3 }[direction];
    await sql`select 1`;
    proxy.blackhole(direction);
    const write = sql`insert into written values (${n}::int)`.execute();
    expect(await isPending(write)).toBe(true);
    // without an answer to its Parse, the client never gets to send the rest
    expect(await isWritten(n)).toBe(false);
    proxy.heal();
    await write;
    expect(await isWritten(n)).toBe(true);
  }),
);

test("a delay is that of each direction", () =>
  through(async (sql, proxy) => {
    await sql`select 1`;
    proxy.delayMs.toClient = 300;
    expect(await isPending(sql`select 1`)).toBe(true);
  }));

test.for(["cut", "blackhole"] as const)("an answer is dropped, then: %s", (then) =>
  through(async (sql, proxy) => {
    const n = then === "cut" ? 10 : 11;
    await sql`select 1`;
    const { dropped } = proxy.dropAnswerOf(/insert into written/, { then });
    const before = sql`select pg_sleep(0.1), 5 as n`;
    const [{ n: five } = {}, write] = [(await before)[0], sql`insert into written values (${n}::int)`.execute()];
    expect(five).toBe(5);
    if (then === "cut") await expect(write).rejects.toMatchObject({ code: "ECONNRESET" });
    await dropped;
    expect(await isWritten(n)).toBe(true);
    if (then === "blackhole") {
      proxy.heal();
      expect(await isPending(write)).toBe(true);
      proxy.cutAll();
      await expect(write).rejects.toMatchObject({ code: "ECONNRESET" });
    }
    expect(await sql`select 1 as n`).toMatchObject([{ n: 1 }]);
  }),
);

test("a held statement goes on when it is told to", () =>
  through(async (sql, proxy) => {
    const held = proxy.holdStatement(/insert into written/);
    const write = sql`insert into written values (20)`.execute();
    expect((await held.arrived).sql).toBe("insert into written values (20)");
    const after = sql`select 1 as n`.execute();
    expect(await isWritten(20)).toBe(false);
    await held.forward();
    await write;
    expect(await after).toMatchObject([{ n: 1 }]);
    expect(await isWritten(20)).toBe(true);
  }));

test("a held statement runs after its client has gone", () =>
  through(async (sql, proxy) => {
    const held = proxy.holdStatement(/insert into written/);
    const write = expect(sql`insert into written values (21)`.execute()).rejects.toMatchObject({
      code: "CONNECTION_DESTROYED",
    });
    await held.arrived;
    await sql.end({ timeout: 0 });
    await write;
    expect(await isWritten(21)).toBe(false);
    await held.forward();
    expect(await isWritten(21)).toBe(true);
  }));

test("a held statement is discarded", () =>
  through(async (sql, proxy) => {
    const held = proxy.holdStatement(/insert into written/);
    const write = expect(sql`insert into written values (22)`.execute()).rejects.toMatchObject({ code: "ECONNRESET" });
    held.discard();
    await write;
    expect(await isWritten(22)).toBe(false);
  }));

test("a client may ask for TLS first", async () => {
  await using proxy = await startProxy(cluster.url);
  const sql = postgres(proxy.url(cluster.url), { max: 1, ssl: "prefer", fetch_types: false });
  expect(await sql`select 1 as n`).toMatchObject([{ n: 1 }]);
  expect(proxy.statements).toHaveLength(1);
  await sql.end();
});
