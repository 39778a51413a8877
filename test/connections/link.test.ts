// A connection of our own has one life: how it ends, and what becomes of the statements that were asked of it.
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { parseConnectionUrl } from "../../src/config/connection-url.js";
import { Link } from "../../src/postgres/connection/link.js";
import { LinkClosed, NeverSent } from "../../src/postgres/connection/link-closed.js";
import { createDatabase } from "../support/database.js";
import { startProxy } from "../support/proxy.js";

const database = await createDatabase();

function linkTo(url: string): Link {
  const target = parseConnectionUrl(url, "url", {}, {});
  return new Link({ target, host: target.hosts[0] ?? null, applicationName: "leasehold", prepare: true });
}

test.each([false, true])(
  "an orderly end lets what was asked be answered, then says goodbye, and that is the last that is written (pipelined: %s)",
  async (isPipelined) => {
    const { hostname, port } = new URL(database.url);
    let written = Buffer.alloc(0);
    const sockets: Socket[] = [];
    const server = createServer({ allowHalfOpen: true }, (client) => {
      const upstream = connect(Number(port), hostname);
      sockets.push(client, upstream);
      for (const socket of [client, upstream]) socket.on("error", () => {});
      client.on("data", (chunk: Buffer) => {
        written = Buffer.concat([written, chunk]);
      });
      client.pipe(upstream);
      upstream.pipe(client);
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const url = new URL(database.url);
    url.port = String((server.address() as AddressInfo).port);
    const link = linkTo(url.href);
    await link.query("select 1");
    if (isPipelined) link.pipeline();

    const asked = [1, 2, 3].map((n) => link.query(`select ${n} as n, pg_sleep(0.02)::text`));
    const ended = link.end();
    const late = link.query("select 4 as n").catch((error: unknown) => error);

    expect((await Promise.all(asked)).map((rows) => rows[0]?.n)).toEqual([1, 2, 3]);
    expect(await late).toBeInstanceOf(NeverSent);
    await ended;
    expect(link.isDead).toBe(true);
    expect(written.subarray(-5)).toEqual(Buffer.from([0x58, 0, 0, 0, 4]));
    expect(written.includes("select 4")).toBe(false);
    for (const socket of sockets) socket.destroy();
    server.close();
  },
);

test("what is in flight rejects in the moment in which the connection is cut, and nothing is asked of it any more", async () => {
  await using proxy = await startProxy(database.url);
  const link = linkTo(proxy.url(database.url));
  await link.query("select 1");
  link.pipeline();
  const held = proxy.holdStatement(/'held'/);
  const errors: unknown[] = [];
  for (const text of ["select 'held'", "select 2", "select 3"]) {
    link.query(text).catch((error: unknown) => errors.push(error));
  }
  await held.arrived;
  let closes = 0;
  link.onClose(() => {
    closes += 1;
  });

  link.destroy(new LinkClosed("a reason"));
  await new Promise<void>((resolve) => setImmediate(resolve));

  expect(errors.map((error) => (error as Error).message)).toEqual(["a reason", "a reason", "a reason"]);
  expect([closes, link.inFlight, link.isDead]).toEqual([1, 0, true]);
  await expect(link.query("select 4")).rejects.toBeInstanceOf(NeverSent);
  expect(proxy.statements.map(({ sql }) => sql)).not.toContain("select 4");
});

test("the server's last word is what a statement hears of: not that the connection closed after it", async () => {
  const url = new URL(database.url);
  url.pathname = "/no_such_database";
  const link = linkTo(url.href);
  const first = link.query("select 1").catch((error: unknown) => error);
  const second = link.query("select 2").catch((error: unknown) => error);

  expect(await first).toMatchObject({ code: "3D000", severity: "FATAL" });
  expect(await second).toMatchObject({ name: "Error", cause: { cause: { code: "3D000" } } });
  expect(link.isDead).toBe(true);
});

test("a backend that is ended takes its link with it, and no other takes its place", async () => {
  const link = linkTo(database.url);
  const [row] = await link.query("select pg_backend_pid() as pid");
  const closed = new Promise<void>((resolve) => link.onClose(resolve));

  await database.sql`select pg_terminate_backend(${row?.pid as number})`;
  await closed;

  await expect(link.query("select 1")).rejects.toBeInstanceOf(LinkClosed);
  const rows = await database.sql`select from pg_stat_activity
    where datname = current_database() and application_name = 'leasehold' and pid <> ${row?.pid as number}`;
  expect(rows).toHaveLength(0);
});
