// What can be done from the page: who may, what it does, and what is written about it.
import { expect, test, vi } from "vitest";
import type { Hello } from "../../src/ui/protocol.js";
import { createInspector, type InspectorAct, type InspectorOptions } from "../../src/ui.js";
import { createDatabase, createRole } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLocker } from "../support/lockers.js";
import { EventReader } from "./support/events.js";

const database = await createDatabase();
const { sql } = database;

function open(options: InspectorOptions = {}) {
  const acts: InspectorAct[] = [];
  const inspector = createInspector({ url: database.url, onAct: (act) => acts.push(act), ...options });
  const handle = (path: string, init: RequestInit = {}) =>
    inspector.handle(new Request(`http://app.example${path}`, init));
  /** As a browser has it when it has loaded the page. */
  const loadPage = async (): Promise<string> => {
    const cookie = (await handle("/")).headers.get("set-cookie") ?? "";
    return cookie.split(";")[0] ?? "";
  };
  const hello = async (cookie: string): Promise<Hello> => {
    await using events = new EventReader((signal) => handle("/events", { signal, headers: { cookie } }));
    return await events.until<Hello>("hello");
  };
  const post = async (path: string, body: unknown, headers: Record<string, string> = {}) => {
    const cookie = await loadPage();
    const token = (await hello(cookie)).acts?.token ?? "none";
    const text = typeof body === "string" ? body : JSON.stringify(body);
    return await handle(path, {
      method: "POST",
      body: text,
      headers: { cookie, "x-leasehold-token": token, ...headers },
    });
  };
  return { acts, loadPage, hello, post, handle, [Symbol.asyncDispose]: () => inspector.close() };
}

test("a release by force, for its holder to let go and at once; each is told, with who did it", async () => {
  await using served = open({ actor: (request) => request.headers.get("x-user") });
  await using locker = openLocker(database, { owner: "holder", presence: "off" });
  const lock = await locker.acquire("a", { ttlMs: 60_000, keepAlive: false });
  const before = Date.now();
  const revoked = await served.post("/force-release", { key: "a", fence: String(lock.fence) }, { "x-user": "ada" });
  expect(revoked.status).toBe(200);
  const answer = (await revoked.json()) as { outcome: string; result: { freeAt: number } };
  expect(answer.outcome).toBe("revoked");
  expect(answer.result.freeAt).toBeGreaterThan(before);
  expect(await locker.check("a")).toMatchObject({ state: "revoked" });
  expect(served.acts).toEqual([
    {
      at: expect.any(Date),
      actor: "ada",
      action: "force-release",
      key: "a",
      fence: lock.fence,
      immediate: false,
      outcome: "revoked",
    },
  ]);

  const freed = await served.post("/force-release", { key: "a", immediate: true });
  expect(await freed.json()).toMatchObject({ outcome: "released" });
  expect(await locker.isLocked("a")).toBe(false);
  expect(served.acts[1]).toMatchObject({ actor: null, fence: null, immediate: true, outcome: "released" });
  await lock.release().catch(() => undefined);
});

test("a fence that is not the holder's, and a key that nobody has", async () => {
  await using served = open();
  await using locker = openLocker(database, { presence: "off" });
  await using lock = await locker.acquire("b");
  const stale = await served.post("/force-release", { key: "b", fence: String(lock.fence + 1n), immediate: true });
  expect(await stale.json()).toMatchObject({ result: null });
  expect(await locker.isLocked("b")).toBe(true);
  expect(await (await served.post("/force-release", { key: "nobody's" })).json()).toEqual({
    outcome: "nobody held it",
    result: null,
  });
  expect(served.acts).toHaveLength(2);
});

test("a sweep", async () => {
  await using served = open();
  const answer = await served.post("/sweep", {});
  expect(await answer.json()).toMatchObject({ outcome: "swept", result: { leasesPurged: expect.any(Number) } });
  expect(served.acts).toMatchObject([{ action: "sweep", key: null }]);
});

test("without the page's token, or from another site, nothing is done", async () => {
  expectLeft(database, "leases");
  await using served = open();
  await using locker = openLocker(database, { presence: "off" });
  await locker.acquire("c");
  const cookie = await served.loadPage();
  const token = (await served.hello(cookie)).acts?.token ?? "";
  expect(cookie).toBe(`leasehold-act=${token}`);
  expect(token).toMatch(/^[\w-]{32}$/);
  const other = "A".repeat(32);
  const body = JSON.stringify({ key: "c", immediate: true });
  const tries: Record<string, string>[] = [
    {},
    { cookie },
    { "x-leasehold-token": token },
    { cookie, "x-leasehold-token": "" },
    { cookie, "x-leasehold-token": `${token}x` },
    { cookie, "x-leasehold-token": token.slice(1) },
    { cookie, "x-leasehold-token": other },
    { cookie: `leasehold-act=${other}`, "x-leasehold-token": token },
    { cookie: "leasehold-act=", "x-leasehold-token": "" },
    { cookie: "leasehold-act=short", "x-leasehold-token": "short" },
    { cookie, "x-leasehold-token": token, "sec-fetch-site": "cross-site" },
    { cookie, "x-leasehold-token": token, "sec-fetch-site": "same-site" },
    { cookie, "x-leasehold-token": token, "sec-fetch-site": "none" },
  ];
  for (const headers of tries) {
    const answer = await served.handle("/force-release", { method: "POST", headers, body });
    expect(answer.status, JSON.stringify(headers)).toBe(403);
  }
  // a form of another site cannot send the header; in the address and in the body it counts for nothing
  const form = new URLSearchParams({ key: "c", "x-leasehold-token": token });
  const init = { method: "POST", body: form, headers: { cookie } };
  expect((await served.handle(`/force-release?${form}`, init)).status).toBe(403);
  expect(await locker.isLocked("c")).toBe(true);
  expect(served.acts).toEqual([]);
  // who takes no cookie is offered nothing
  expect((await served.hello("")).acts).toBeNull();
  const right = { cookie, "x-leasehold-token": token, "sec-fetch-site": "same-origin" };
  expect((await served.handle("/force-release", { method: "POST", headers: right, body })).status).toBe(200);
});

test("several processes may serve one page: its acts may come to any of them", async () => {
  await using one = open();
  await using two = open();
  await using locker = openLocker(database, { presence: "off" });
  const lock = await locker.acquire("spread");
  const cookie = await one.loadPage();
  const token = (await one.hello(cookie)).acts?.token ?? "";
  const headers = { cookie, "x-leasehold-token": token };
  const body = JSON.stringify({ key: "spread", immediate: true });
  expect((await two.handle("/force-release", { method: "POST", headers, body })).status).toBe(200);
  expect(await locker.isLocked("spread")).toBe(false);
  await lock.release().catch(() => undefined);
});

test("a browser has one token, for all its pages; over TLS it goes nowhere else", async () => {
  await using served = open({ basePath: "/locks" });
  const load = (url: string, headers: Record<string, string> = {}) =>
    served.handle(new URL(url).pathname, { headers }).then((answer) => answer.headers.get("set-cookie"));
  const cookie = (await load("http://app.example/locks")) ?? "";
  expect(cookie).toMatch(/^leasehold-act=[\w-]{32}; HttpOnly; SameSite=Lax; Path=\/locks$/);
  expect(await load("http://app.example/locks/", { cookie: cookie.split(";")[0] ?? "" })).toBeNull();
  expect(await load("http://app.example/locks/", { cookie: "leasehold-act=odd" })).toMatch(/^leasehold-act=/);
  expect(await load("http://app.example/locks/app.js")).toBeNull();
});

test("a body that is none is refused, and nothing is done", async () => {
  await using served = open();
  const bodies: unknown[] = [
    "",
    "{",
    "null",
    "[]",
    '"text"',
    {},
    { key: 1 },
    { key: null },
    { key: "d", fence: 5 },
    { key: "d", fence: "0x10" },
    { key: "d", fence: "-1" },
    { key: "d", fence: "99999999999999999999" },
    { key: "d", immediate: "yes" },
    { key: "d", padding: "x".repeat(20_000) },
  ];
  for (const body of bodies) {
    expect((await served.post("/force-release", body)).status, JSON.stringify(body).slice(0, 60)).toBe(400);
  }
  expect(served.acts).toEqual([]);
});

test("what fails is told as well: a key that no locker would take", async () => {
  await using served = open();
  const answer = await served.post("/force-release", { key: "" });
  expect(answer.status).toBe(409);
  const { error } = (await answer.json()) as { error: string };
  expect(error).toContain("key");
  expect(served.acts).toMatchObject([{ key: "", outcome: error }]);
});

test("who may look is offered no acts; who asks for one all the same is refused by Postgres", async () => {
  const role = await createRole(database);
  await sql.unsafe(`select leasehold.grant_monitoring('${role.name}')`);
  await using looking = open({ url: role.url });
  expect((await looking.hello(await looking.loadPage())).acts).toBeNull();
  await sql.unsafe(`select leasehold.grant_admin('${role.name}')`);
  await using admin = open({ url: role.url });
  const cookie = await admin.loadPage();
  const token = (await admin.hello(cookie)).acts?.token ?? "";
  expect(token).not.toBe("");
  // the right is taken away while the page is open
  await sql.unsafe(`drop owned by ${role.name}`);
  const answer = await admin.handle("/force-release", {
    method: "POST",
    headers: { cookie, "x-leasehold-token": token },
    body: JSON.stringify({ key: "e" }),
  });
  expect(answer.status).toBe(409);
  expect(admin.acts).toMatchObject([{ key: "e", outcome: expect.stringContaining("grant_admin") }]);
});

test("readOnly: nobody is offered an act, whatever the role may do", async () => {
  await using served = open({ readOnly: true });
  expect((await served.hello(await served.loadPage())).acts).toBeNull();
  const refused = await served.post("/sweep", {});
  expect([refused.status, await refused.text()]).toEqual([403, "this inspector only looks\n"]);
  expect(served.acts).toEqual([]);
});

test("an onAct that throws, and an actor that does: the act is not hidden by them", async () => {
  await using locker = openLocker(database, { presence: "off" });
  await locker.acquire("f");
  await using broken = open({
    actor: () => {
      throw new Error("no session");
    },
  });
  // it is not known who it is: nothing is done
  expect((await broken.post("/force-release", { key: "f", immediate: true })).status).toBe(500);
  expect(await locker.isLocked("f")).toBe(true);
  await using deaf = open({
    onAct: () => {
      throw new Error("disk full");
    },
  });
  const written = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const answer = await deaf.post("/force-release", { key: "f", immediate: true });
  const lines = written.mock.calls.map(String);
  written.mockRestore();
  expect(lines).toEqual([
    expect.stringMatching(/^\{"leasehold":"inspector",.*"key":"f".*"outcome":"released","fence":null\}$/),
    "leasehold inspector: onAct has thrown: disk full",
  ]);
  expect([answer.status, await answer.json()]).toMatchObject([200, { outcome: "released" }]);
});
