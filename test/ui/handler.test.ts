// What the handler answers: the page and its files, the stream, errors. Frameworks are in test/libraries.

import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { brotliDecompressSync, gunzipSync, gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { page } from "../../src/ui/page.generated.js";
import { type Hello, leaseColumns, type StateMessage, type Trouble } from "../../src/ui/protocol.js";
import { createInspector, type InspectorOptions } from "../../src/ui.js";
import { openSession } from "../fencing/session.js";
import { changeUrl } from "../support/client.js";
import { startCluster } from "../support/cluster.js";
import { createDatabase, createEmptyDatabase, createRole } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLocker } from "../support/lockers.js";
import { PostgresProxy } from "../support/proxy.js";
import { until } from "../support/until.js";
import { EventReader } from "./support/events.js";
import { serveInspector } from "./support/serve.js";

const database = await createDatabase();
const { sql } = database;

function open(options: InspectorOptions = {}) {
  const inspector = createInspector({ url: database.url, ...options });
  const get = (path: string, init?: RequestInit) => inspector.handle(new Request(`http://app.example${path}`, init));
  const cookie = `leasehold-act=${"A".repeat(32)}`; // of a browser that has loaded the page
  const events = () => new EventReader((signal) => get("/events", { signal, headers: { cookie } }));
  return { inspector, get, events, [Symbol.asyncDispose]: () => inspector.close() };
}

const inspectors = () => sql`select from pg_stat_activity where application_name = 'leasehold inspector'
                              and datname = current_database()`;

test("the page and its files: none of them asks the database for anything", async () => {
  await using proxy = await PostgresProxy.start(database.url);
  await using served = open({ url: proxy.url(database.url) });
  const types = { "": "text/html", "app.js": "text/javascript", "app.css": "text/css", "icon.svg": "image/svg+xml" };
  for (const [name, type] of Object.entries(types)) {
    const answer = await served.get(`/${name}`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toMatch(new RegExp(`^${type.replace("+", "\\+")}`));
    expect(answer.headers.get("cache-control")).toBe("private, no-cache");
    expect(await answer.text()).toBe(page[name === "" ? "index.html" : name]);
  }
  expect(proxy.connections).toEqual([]);
});

test("files are compressed for who wants that, and not sent again to who has them", async () => {
  await using served = open();
  const asked = (accepted: string) => served.get("/app.js", { headers: { "accept-encoding": accepted } });
  const text = page["app.js"];
  const [plain, zipped, brotli] = [await asked("identity"), await asked("deflate, gzip;q=1"), await asked("gzip, br")];
  expect(plain.headers.get("content-encoding")).toBeNull();
  expect(await plain.text()).toBe(text);
  expect(zipped.headers.get("content-encoding")).toBe("gzip");
  expect(gunzipSync(await zipped.arrayBuffer()).toString()).toBe(text);
  expect(brotli.headers.get("content-encoding")).toBe("br");
  expect(brotliDecompressSync(await brotli.arrayBuffer()).toString()).toBe(text);
  for (const answer of [plain, zipped, brotli]) expect(answer.headers.get("vary")).toBe("accept-encoding");

  const tag = plain.headers.get("etag") ?? "";
  const again = await served.get("/app.js", { headers: { "if-none-match": tag } });
  expect([again.status, await again.text()]).toEqual([304, ""]);
  expect((await served.get("/app.css", { headers: { "if-none-match": tag } })).status).toBe(200);
});

test("the page is small, and asks nobody else for anything", () => {
  const bytes = Object.values(page).map((text) => gzipSync(text).length);
  expect(bytes.reduce((sum, length) => sum + length)).toBeLessThan(150_000);
  const names =
    Object.values(page)
      .join("\n")
      .match(/https?:\/\/[\w.-]+/g) ?? [];
  // names of formats, and where a licence can be read
  expect(names.filter((name) => !/^http:\/\/www\.w3\.org$|^https:\/\/github\.com$/.test(name))).toEqual([]);
});

test("every answer forbids what it does not need", async () => {
  await using served = open();
  for (const path of ["/", "/app.js", "/events", "/key?key=a", "/metrics", "/nothing"]) {
    const answer = await served.get(path);
    const policy = answer.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self';");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).toContain("require-trusted-types-for 'script'");
    expect(policy).not.toContain("unsafe");
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    expect(answer.headers.get("referrer-policy")).toBe("no-referrer");
    await answer.body?.cancel();
  }
  // nothing is written into the page that it could run
  expect(page["index.html"]).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\son\w+=|style=/);
});

test("what it does not have, and what is not for it", async () => {
  await using served = open();
  const missing = await served.get("/nothing");
  expect([missing.status, await missing.text()]).toEqual([404, expect.stringContaining("basePath")]);
  for (const path of ["/../package.json", "/page.generated.js", "//app.js", "/app.js/", "/constructor", "/__proto__"]) {
    expect((await served.get(path)).status, path).toBe(404);
  }
  const post = await served.get("/", { method: "POST" });
  expect([post.status, post.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  const look = await served.get("/sweep");
  expect([look.status, look.headers.get("allow")]).toEqual([405, "POST"]);
});

test("below a path of its own, with and without a framework that takes it off", async () => {
  await using served = open({ basePath: "/admin/locks/" });
  for (const path of ["/admin/locks?x=1", "/admin/locks/", "/admin/locks/app.js", "/", "/app.js"]) {
    expect((await served.get(path)).status, path).toBe(200);
  }
  // its links lead there from both, for some frameworks take the slash off, and some put it on
  const links = (await (await served.get("/admin/locks")).text()).match(/(?<=(?:href|src)=")[^"]*/g) ?? [];
  expect(links).toEqual(["/admin/locks/icon.svg", "/admin/locks/app.css", "/admin/locks/app.js"]);
  await using odd = open({ basePath: "/a&lt;b" });
  expect(await (await odd.get("/a&lt;b/")).text()).toContain('src="/a&amp;lt;b/app.js"');
  expect((await served.get("/admin/locksmith")).status).toBe(404);
  expect((await served.get("/events", { method: "HEAD" })).body).toBeNull();
});

test("options that are wrong are refused when it is made", () => {
  const make = (options: object) => () => createInspector({ url: database.url, ...options });
  expect(make({ basePath: "locks" })).toThrow('basePath: expected a path such as /locks, got "locks"');
  expect(make({ basePath: "/a//b" })).toThrow("basePath");
  expect(make({ maxRows: 0 })).toThrow("maxRows: expected an integer of 1 to 100000, got 0");
  expect(make({ readOnly: "yes" })).toThrow("readOnly");
  expect(make({ onAct: true })).toThrow("onAct");
  expect(make({ actor: "me" })).toThrow("actor");
  expect(make({ base: "/" })).toThrow("base");
});

test("one connection and one set of queries a second, however many look; none when nobody does", async () => {
  await using proxy = await PostgresProxy.start(database.url);
  await using served = open({ url: proxy.url(database.url) });
  const readers = Array.from({ length: 20 }, () => served.events());
  for (const reader of readers) await reader.until("state");
  proxy.statements.length = 0;
  const last = await Promise.all(
    readers.map(async (reader) => {
      const found: number[] = [];
      for (let n = 0; n < 4; n += 1) found.push((await reader.until<StateMessage>("state")).at);
      return found;
    }),
  );
  expect(new Set(last.map(String)).size).toBe(1); // all are told the same
  const looks = () => proxy.statements.filter(({ sql: text }) => text.includes("leasehold.active_leases")).length;
  expect(looks()).toBeGreaterThanOrEqual(4);
  expect(looks()).toBeLessThanOrEqual(5);
  expect(await inspectors()).toHaveLength(1);

  for (const reader of readers) await reader.close();
  await until("it looks no more", async () => {
    const before = looks();
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    return looks() === before;
  });
});

test("a key that no view shows is asked for once a second, however many ask", async () => {
  await using proxy = await PostgresProxy.start(database.url);
  await using served = open({ url: proxy.url(database.url) });
  const answers = await Promise.all(Array.from({ length: 30 }, () => served.get("/key?key=absent")));
  for (const answer of answers) expect(await answer.json()).toMatchObject({ state: "free", owner: null, fence: null });
  expect(proxy.statements.filter(({ sql: text }) => text.includes("leasehold.check"))).toHaveLength(1);
});

test("what can be no key is refused without asking, and costs nobody their connection", async () => {
  await using proxy = await PostgresProxy.start(database.url);
  await using served = open({ url: proxy.url(database.url) });
  await using events = served.events();
  await events.until("state");
  for (const key of ["", "%00", "x".repeat(513), "%C3%BC".repeat(257)]) {
    const answer = await served.get(`/key?key=${key}`);
    expect(await answer.json(), key).toMatchObject({ message: expect.stringMatching(/^key: expected /) });
  }
  await events.until("state");
  expect(proxy.connections).toHaveLength(1);
  expect(proxy.statements.filter(({ sql: text }) => text.includes("leasehold.check"))).toEqual([]);
});

test("what is granted, renewed and released is told as it happens", async () => {
  await using served = open();
  await using locker = openLocker(database, { owner: "holder" });
  await using events = served.events();
  const hello = await events.until<Hello>("hello");
  expect(hello).toMatchObject({ database: database.name, isStandby: false });
  const lock = await locker.acquire("told", { metadata: { step: 1 }, ttlMs: 20_000 });
  const granted = await events.until<StateMessage>("state", ({ changes }) => (changes.leases?.set.length ?? 0) > 0);
  const [id, row] = granted.changes.leases?.set[0] ?? ["", []];
  expect(id).toBe(`${lock.fence} told`);
  expect(row).toEqual(expect.arrayContaining(["told", "held", "exclusive", String(lock.fence), "holder", { step: 1 }]));
  await lock.release();
  const over = await events.until<StateMessage>("state", ({ changes }) => changes.leases?.gone.includes(id) ?? false);
  expect(over.events).toMatchObject([{ key: "told", what: "ended", owner: "holder", fence: String(lock.fence) }]);
});

test("a database that goes away and comes back: it is told, and the page goes on by itself", async () => {
  await using proxy = await PostgresProxy.start(database.url);
  await using served = open({ url: proxy.url(database.url) });
  await using events = served.events();
  await events.until("state");
  await proxy.refuse(true);
  proxy.cutAll();
  const trouble = await events.until<Trouble>("trouble");
  expect(trouble.kind).toBe("disconnected");
  expect(await (await served.get("/metrics")).text()).toContain("\nleasehold_up 0\n");
  expect((await served.get("/key?key=a")).status).toBe(503);
  await proxy.refuse(false);
  expect((await events.until<StateMessage>("state")).isWhole).toBe(true);
});

test("a role without rights is told the line that gives them; then it sees all", async () => {
  const role = await createRole(database);
  await using served = open({ url: role.url });
  await using events = served.events();
  const trouble = await events.until<Trouble>("trouble");
  expect(trouble).toMatchObject({
    kind: "no-rights",
    statement: `select leasehold.grant_monitoring('${role.name}');`,
  });
  await sql.unsafe(String(trouble.statement));
  const hello = await events.until<Hello>("hello");
  expect(hello).toMatchObject({ role: role.name, acts: null });
  expect((await events.until<StateMessage>("state")).isWhole).toBe(true);
  expect((await served.get("/key?key=a")).status).toBe(200);
  expect(await (await served.get("/metrics")).text()).toContain("\nleasehold_up 1\n");
});

test("a database without the schema, and one whose schema is not of this version", async () => {
  const empty = await createEmptyDatabase();
  await using served = open({ url: empty.url });
  await using events = served.events();
  expect((await events.until<Trouble>("trouble")).kind).toBe("not-migrated");
  const old = await createDatabase();
  await old.sql`drop view leasehold.hot_keys`;
  await using other = open({ url: old.url });
  await using stream = other.events();
  expect((await stream.until<Trouble>("trouble")).kind).toBe("not-migrated");
});

test("a standby shows who holds what", async () => {
  await using cluster = await startCluster();
  const primary = await createDatabase({ on: cluster });
  await using locker = openLocker(primary, { owner: "holder", presence: "off" });
  await using lock = await locker.acquire("copied");
  await using standby = await cluster.createStandby();
  const url = changeUrl(primary.url, { port: standby.port });
  await using served = open({ url });
  await using events = served.events();
  expect(await events.until<Hello>("hello")).toMatchObject({ isStandby: true, acts: null });
  const isThere = ({ changes }: StateMessage) => changes.leases?.set.some(([, [key]]) => key === "copied") ?? false;
  await events.until<StateMessage>("state", isThere);
  expect(await (await served.get("/metrics")).text()).toContain('\nleasehold_locks_held{mode="exclusive"} 1\n');
  expect(lock.held).toBe(true);
  // when it becomes the primary, the page is told, over the connection that it has
  await standby.promote();
  await events.until<Hello>("hello", ({ isStandby, acts }) => !isStandby && acts !== null);
});

test("of metadata that is long the beginning is told", async () => {
  await using served = open();
  await using locker = openLocker(database, { presence: "off" });
  await using _short = await locker.acquire("short", { metadata: { text: "x".repeat(1_900) } });
  await using _long = await locker.acquire("long", { metadata: { text: "ü".repeat(20_000) } });
  await using events = served.events();
  const { changes } = await events.until<StateMessage>("state");
  const told = new Map(changes.leases?.set.map(([, row]) => [row[0], row[leaseColumns.indexOf("metadata")]]));
  expect(told.get("short")).toEqual({ text: "x".repeat(1_900) });
  expect(told.get("long")).toBe(`{"text": "${"ü".repeat(1_990)}…`);
});

test("what is no request for a page is answered all the same", async () => {
  await using served = await serveInspector({ url: database.url });
  const { port } = new URL(served.url);
  const answerTo = async (text: string): Promise<string> => {
    const socket = connect(Number(port), "127.0.0.1");
    socket.end(text);
    let answer = "";
    for await (const chunk of socket) answer += chunk;
    return answer.split("\r\n", 1)[0] ?? "";
  };
  const request = (line: string, host = "localhost") =>
    answerTo(`${line} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  expect(await request("GET /app.css")).toBe("HTTP/1.1 200 OK");
  expect(await request("GET http://elsewhere/app.css")).toMatch(/^HTTP\/1.1 40[04] /);
  expect(await request("GET /app.css", "a b")).toBe("HTTP/1.1 400 Bad Request");
  expect(await request("GET /app.css", "[::1")).toBe("HTTP/1.1 400 Bad Request");
  expect(await request("GET //elsewhere/app.css")).toBe("HTTP/1.1 404 Not Found");
  expect(await request("TRACE /")).toBe("HTTP/1.1 400 Bad Request");
  expect(await request("OPTIONS *")).toMatch(/^HTTP\/1.1 40[045] /);
  expect(await request("DELETE /")).toBe("HTTP/1.1 405 Method Not Allowed");
});

test("closed while the database hangs and while it connects, it ends", async () => {
  await using proxy = await PostgresProxy.start(database.url);
  const served = open({ url: proxy.url(database.url) });
  const events = served.events();
  await events.until("state");
  proxy.blackhole();
  const asked = served.get("/key?key=a");
  await served.inspector.close();
  expect((await asked).status).toBe(503);
  await expect(events.until("nothing more")).rejects.toThrow("the stream has ended");
  const late = open({ url: proxy.url(database.url) });
  const connecting = late.get("/key?key=a");
  await late.inspector.close();
  expect((await connecting).status).toBe(503);
  expect((await late.get("/key?key=a")).status).toBe(503);
  expect(await (await late.get("/key?key=b")).json()).toMatchObject({ message: "This inspector is closed." });
  await events.close();
});

test("no more rows than maxRows, the first by their keys; how many hold is still counted for Prometheus", async () => {
  expectLeft(database, "leases");
  await using served = open({ maxRows: 3 });
  await using locker = openLocker(database, { presence: "off" });
  for (const key of ["c", "a", "e", "b", "d"]) await locker.acquire(key);
  await using events = served.events();
  const { changes } = await events.until<StateMessage>("state");
  expect(changes.leases?.set.map(([, [key]]) => key)).toEqual(["a", "b", "c"]);
  expect(changes.leases?.isCut).toBe(true);
  expect(await (await served.get("/metrics")).text()).toContain('\nleasehold_locks_held{mode="exclusive"} 5\n');
});

test("what keeps a key for moments is not told: it would come and go; what keeps it for longer is", async () => {
  await using served = open();
  await using locker = openLocker(database, { presence: "off" });
  for (const key of ["moments", "longer"]) await (await locker.acquire(key)).release();
  await using passing = await openSession(database);
  await using staying = await openSession(database);
  await staying.begin();
  await staying.run("select from leasehold.leases where key = 'longer' for update");
  await using events = served.events();
  const seen = new Set<unknown>();
  const watching = (async () => {
    while (!seen.has("longer")) {
      const { changes } = await events.until<StateMessage>("state");
      for (const [, [key]] of changes.leases?.set ?? []) seen.add(key);
    }
  })();
  let longestMs = 0;
  while (!seen.has("longer")) {
    const startMs = performance.now();
    await passing.begin();
    await passing.run("select from leasehold.leases where key = 'moments' for update");
    await sleep(300);
    await passing.rollback();
    longestMs = Math.max(longestMs, performance.now() - startMs);
  }
  await watching;
  // on a machine that is too slow for moments it says nothing
  if (longestMs < 900) expect([...seen]).toEqual(["longer"]);
  await staying.rollback();
});

test("no token is ever told", async () => {
  await using served = open();
  await using locker = openLocker(database);
  await using lock = await locker.acquire("secret", { owner: "o" });
  const [row] = await sql`select token::text from leasehold.leases where key = 'secret'`;
  await using events = served.events();
  const told = JSON.stringify([await events.next(), await events.next()]);
  expect(told).toContain('"secret"');
  const rest = `${await (await served.get("/key?key=secret")).text()}${await (await served.get("/metrics")).text()}`;
  expect(`${told}${rest}`).not.toContain(row?.token);
  expect(lock.held).toBe(true);
});

test("closed, it gives its connection back at once, and ends the streams", async () => {
  const served = open();
  const events = served.events();
  await events.until("state");
  expect(await inspectors()).toHaveLength(1);
  await served.inspector.close();
  await until("the connection is gone", async () => (await inspectors()).length === 0);
  await expect(events.until("nothing more")).rejects.toThrow("the stream has ended");
  await events.close();
  await expect(served.events().next()).rejects.toThrow("the stream has ended");
});
