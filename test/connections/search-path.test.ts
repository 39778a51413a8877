// Nobody else's code may run in our statements: our own connections look in pg_catalog alone, from the first message on, and where
// the connection is not ours alone nothing is set.

import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer, connect as dial, type Socket } from "node:net";
import { expect, test } from "vitest";
import { parseConnectionUrl } from "../../src/config/connection-url.js";
import { connect, HostList } from "../../src/postgres/connection/connect.js";
import { runCli } from "../support/cli.js";
import { cliProgram } from "../support/compiled.js";
import { createDatabase, createEmptyDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { type PostgresProxy, startProxy } from "../support/proxy.js";

const database = await createDatabase();
const begins = /^set local search_path = pg_catalog, pg_temp;/;

/** The texts that came over each connection. */
function textsByConnection(proxy: PostgresProxy): string[][] {
  const texts = new Map<unknown, string[]>();
  for (const { connection, sql } of proxy.statements) texts.set(connection, [...(texts.get(connection) ?? []), sql]);
  return [...texts.values()];
}

test("session, commands and renewals: the first message sets the path; once the session keeps its backend it stays set", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url));
  const lock = await locker.acquire("path");
  await lock.renew();
  await lock.release();
  const connections = textsByConnection(proxy);
  expect(connections).toHaveLength(3);
  for (const texts of connections) {
    expect(texts[0]).toMatch(begins);
    const stays = texts.findIndex((sql) => sql.startsWith("set search_path = pg_catalog, pg_temp;"));
    expect(stays).toBeGreaterThan(0);
    // before that, nothing but the test: no lock, no row, no function of ours
    expect(texts.slice(0, stays).join("\n")).not.toMatch(/leasehold_internal\.|advisory|listen /);
    expect(texts.slice(0, stays).join("\n")).not.toMatch(/(^|;)\s*set (?!local)/im);
  }

  // and later ones need no second message
  proxy.statements.length = 0;
  await database.sql`select pg_terminate_backend(pid, 10000) from pg_stat_activity
    where datname = current_database() and application_name = 'leasehold commands'`;
  await (await locker.acquire("path again")).release();
  // the last, for the call may have gone over the old one first
  const commands = textsByConnection(proxy).filter((texts) =>
    texts.some((sql) => /\.acquire(_first|_one)?\(/.test(sql)),
  );
  expect(commands.at(-1)?.[0]).toMatch(/^set search_path = pg_catalog, pg_temp;/);
});

test("a migration: the first message sets the path, and nothing stays set", async () => {
  await using empty = await createEmptyDatabase();
  await using proxy = await startProxy(empty.url);
  await using locker = openLocker(proxy.url(empty.url));
  await locker.migrate();
  // and of the one that looks for who is in the way, where the migration takes its time
  for (const [first] of textsByConnection(proxy)) expect(first).toMatch(begins);
  expect(proxy.statements.length).toBeGreaterThan(0);
  expect(proxy.statements.filter(({ sql }) => /(^|;)\s*set (?!local)/i.test(sql))).toEqual([]);
});

test("the command line sets the path for each transaction, for it may be a pooler's connection", async () => {
  const program = cliProgram();
  await using proxy = await startProxy(database.url);
  const { code, stderr } = await runCli(program, ["ls"], { url: proxy.url(database.url) });
  expect([code, stderr]).toEqual([0, ""]);
  const [hello, ...others] = proxy.statements.map(({ sql }) => sql);
  expect(hello).toMatch(/^set local search_path = pg_catalog, pg_temp;/);
  const begun = others.filter((sql) => /^begin\b.*; set local search_path = pg_catalog, pg_temp/.test(sql)).length;
  expect(begun).toBeGreaterThan(0);
  expect(others).toHaveLength(3 * begun);
});

test("a connection that may be a pooler's is never set", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), { presence: "off" });
  await locker.migrate();
  const lock = await locker.acquire("pooled");
  await lock.renew();
  await lock.release();
  expect(proxy.statements.filter(({ sql }) => /(^|;)\s*set (?!local)/i.test(sql))).toEqual([]);
});

test("the first question means the same whatever the path finds first", async () => {
  await using trapped = await createEmptyDatabase();
  await trapped.sql.unsafe(`create schema evil;
    create function evil.spring() returns int language plpgsql as $$ begin raise 'sprung'; end $$;
    create function evil.times(numeric, integer) returns numeric language sql as 'select evil.spring()::numeric';
    create operator evil.* (leftarg = numeric, rightarg = integer, function = evil.times);
    create function evil.same(integer, integer) returns boolean language sql as 'select evil.spring() = 1';
    create operator evil.= (leftarg = integer, rightarg = integer, function = evil.same);
    create function evil.pg_backend_pid() returns int language sql as 'select evil.spring()';
    create function evil.clock_timestamp() returns timestamptz language sql as 'select evil.spring()::text::timestamptz';
    create function evil.current_setting(text) returns text language sql as 'select evil.spring()::text';
    create function evil.set_config(text, text, boolean) returns text language sql as 'select evil.spring()::text';
    create function evil.current_database() returns name language sql as 'select evil.spring()::text::name';
    create domain evil.float8 as double precision check (evil.spring() = 1);
    create domain evil.text as text check (evil.spring() = 1);
    create view evil.pg_stat_activity as select evil.spring() as pid`);
  const [name] = await trapped.sql`select current_database() as name`;
  await trapped.sql.unsafe(`alter database "${name?.name}" set search_path = evil, pg_catalog, public`);
  const target = parseConnectionUrl(trapped.url, "url", {}, {});
  const options = {
    hosts: new HostList(target),
    applicationName: "leasehold",
    connectTimeoutMs: 30_000,
    prepare: false,
  };

  const { link, hello } = await connect({ ...options, settings: [], acceptsMissing: true, signal: null });

  expect(hello).toMatchObject({ pid: hello.announcedPid, database: name?.name, role: "postgres", isStandby: false });
  expect(hello.startedMs).toBeGreaterThan(Date.now() - 3_600_000);
  expect((await link.query("show search_path"))[0]).toEqual({ search_path: "evil, pg_catalog, public" });
  await link.end();
});

test.each([
  ["at all", "= pg_catalog, pg_temp"],
  ["for good", "set search_path = pg_catalog, pg_temp"],
])("a connection that does not keep the path %s is refused by name", async (_, set) => {
  const { hostname, port } = new URL(database.url);
  const sockets = new Set<Socket>();
  // a pooler that has a mind of its own
  const server = createServer((client) => {
    const upstream = dial(Number(port), hostname);
    for (const socket of [client, upstream]) sockets.add(socket.on("error", () => {}));
    client.on("data", (chunk) => {
      const text = chunk.toString("latin1").replace(set, set.replace("pg_catalog, pg_temp", "public, pg_temp    "));
      upstream.write(text, "latin1");
    });
    upstream.pipe(client);
    client.on("close", () => upstream.destroy());
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const url = new URL(database.url);
  url.port = String((server.address() as AddressInfo).port);
  await using locker = openLocker(url.href);

  const error = await locker.ready().catch((reason: unknown) => reason);
  for (const socket of sockets) socket.destroy();
  server.close();

  expect(error).toMatchObject({
    name: "UnsafeBackendError",
    problem: expect.stringContaining('it is "public, pg_temp"'),
    remedy: expect.stringContaining("direct address"),
  });
});
