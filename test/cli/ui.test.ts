// leasehold ui: who is let in, what ends it, what it writes. What it shows is in test/ui.
import { request as send } from "node:http";
import { hostname } from "node:os";
import { expect, test } from "vitest";
import type { Hello } from "../../src/ui/protocol.js";
import { CliProcess, runCli } from "../support/cli.js";
import { cliProgram } from "../support/compiled.js";
import { createDatabase, createRole } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { readEvents } from "../ui/support/events.js";

const cli = cliProgram();
const database = await createDatabase();

class Ui extends CliProcess {
  constructor(args: readonly string[] = [], env: Readonly<Record<string, string>> = {}, url = database.url) {
    super(cli, ["ui", "--port", "0", "--json", ...args], { url, env });
  }

  /** The addresses that it has printed, each with its token. */
  async links(count: number): Promise<string[]> {
    await this.wrote(new RegExp(`(.*\\n){${count}}`));
    return this.stdout.split("\n").flatMap((line) => (line === "" ? [] : [String(JSON.parse(line).url)]));
  }

  async signIn(index = 0): Promise<{ origin: string; cookie: string }> {
    const link = (await this.links(index + 1))[index] ?? "";
    const answer = await fetch(link, { redirect: "manual" });
    const cookie = answer.headers.get("set-cookie")?.split(";")[0];
    if (answer.status !== 303 || cookie === undefined) throw new Error(`${answer.status} for ${link}`);
    return { origin: new URL(link).origin, cookie };
  }

  async end(): Promise<void> {
    this.kill("SIGINT");
    expect((await this.result).code).toBe(0);
  }
}

test("the printed address lets one browser in; another one is printed for the next", async () => {
  await using ui = new Ui();
  const [link = ""] = await ui.links(1);
  expect(link).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]{32}$/);
  const { origin } = new URL(link);
  expect((await fetch(`${origin}/`)).status).toBe(401);
  expect((await fetch(`${origin}/events`)).status).toBe(401);
  // A browser that fetches ahead, and one that asks for the head, do not use it up.
  expect((await fetch(link, { redirect: "manual", headers: { "sec-purpose": "prefetch" } })).status).toBe(401);
  expect((await fetch(link, { redirect: "manual", method: "HEAD" })).status).toBe(401);

  const first = await fetch(link, { redirect: "manual" });
  expect(first.status).toBe(303);
  expect(first.headers.get("location")).toBe("/");
  expect(first.headers.get("set-cookie")).toMatch(/; HttpOnly; SameSite=Lax; Path=\/$/);
  const cookie = first.headers.get("set-cookie")?.split(";")[0] ?? "";
  const page = await fetch(`${origin}/`, { headers: { cookie } });
  expect(page.status).toBe(200);
  expect(await page.text()).toContain("<title>Leasehold</title>");
  expect((await fetch(`${origin}/`, { headers: { cookie: `${cookie}x` } })).status).toBe(401);

  // Used: for another browser it is the next one.
  expect((await fetch(link, { redirect: "manual" })).status).toBe(401);
  expect((await fetch(link, { redirect: "manual", headers: { cookie } })).status).toBe(303);
  const links = await ui.links(2);
  expect(links).toHaveLength(2);
  const second = await ui.signIn(1);
  expect((await fetch(`${origin}/`, { headers: { cookie: second.cookie } })).status).toBe(200);
  expect((await fetch(`${origin}/`, { headers: { cookie } })).status).toBe(200);
  await ui.end();
});

test("asked by another name it does not answer: a page elsewhere cannot have its own name lead here", async () => {
  await using ui = new Ui();
  const { origin, cookie } = await ui.signIn();
  const { port } = new URL(origin);
  const statusFor = (host: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const asked = send({ host: "127.0.0.1", port, path: "/", headers: { host, cookie } }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      });
      asked.once("error", reject).end();
    });
  expect(await statusFor(`127.0.0.1:${port}`)).toBe(200);
  expect(await statusFor(`localhost:${port}`)).toBe(200);
  expect(await statusFor(`rebound.example:${port}`)).toBe(421);
  await ui.end();
});

test("/metrics is for who has signed in, or brings the token of LEASEHOLD_METRICS_TOKEN", async () => {
  await using ui = new Ui([], { LEASEHOLD_METRICS_TOKEN: "secret" });
  const { origin, cookie } = await ui.signIn();
  const metrics = (headers: Record<string, string>) => fetch(`${origin}/metrics`, { headers });
  expect((await metrics({})).status).toBe(401);
  expect((await metrics({ authorization: "Bearer wrong" })).status).toBe(401);
  expect(await (await metrics({ cookie })).text()).toContain("\nleasehold_up 1\n");
  expect(await (await metrics({ authorization: "Bearer secret" })).text()).toContain("\nleasehold_up 1\n");
  expect((await fetch(`${origin}/`, { headers: { authorization: "Bearer secret" } })).status).toBe(401);
  await ui.end();

  await using without = new Ui();
  const other = new URL((await without.links(1))[0] ?? "").origin;
  for (const authorization of ["Bearer ", "Bearer null", "Bearer undefined"]) {
    expect((await fetch(`${other}/metrics`, { headers: { authorization } })).status).toBe(401);
  }
  await without.end();
});

test("an act is written as one line; --read-only refuses it", async () => {
  await using locker = openLocker(database, { owner: "holder", presence: "off" });
  const lock = await locker.acquire("key 1\nwith a line");
  const release = async (ui: Ui): Promise<Response> => {
    const { origin, cookie } = await ui.signIn();
    const page = await fetch(`${origin}/`, { headers: { cookie } });
    const cookies = `${cookie}; ${page.headers.get("set-cookie")?.split(";")[0]}`;
    const [hello] = await readEvents(`${origin}/events`, { cookie: cookies }, ["hello"]);
    const token = (hello?.data as Hello | undefined)?.acts?.token ?? "none";
    return await fetch(`${origin}/force-release`, {
      method: "POST",
      headers: { cookie: cookies, "x-leasehold-token": token, "content-type": "application/json" },
      body: JSON.stringify({ key: lock.key, immediate: true }),
    });
  };
  await using looking = new Ui(["--read-only"]);
  expect((await release(looking)).status).toBe(403);
  expect(await locker.isLocked(lock.key)).toBe(true);
  await looking.end();
  expect(looking.stderr).toBe("");

  await using ui = new Ui();
  expect(await (await release(ui)).json()).toMatchObject({ outcome: "released" });
  await ui.end();
  expect(ui.stderr).toMatch(/^\d{4}-\S+Z force-release "key 1\\nwith a line" at once: released\n$/);
  await lock.release().catch(() => undefined);
});

test("what it cannot do it says: a port that is taken, one that is none, no such address", async () => {
  await using ui = new Ui();
  const { port } = new URL((await ui.links(1))[0] ?? "");
  const fails = async (...args: string[]) => {
    const { code, stdout, stderr } = await runCli(cli, ["ui", ...args], { url: database.url });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    return stderr;
  };
  expect(await fails("--port", port)).toContain(`--port ${port} is taken`);
  expect(await fails("--port", "70000")).toContain("--port: expected a whole number of 0 to 65535, got 70000");
  expect(await fails("--port", "0", "--host", "203.0.113.1")).toContain("--host 203.0.113.1: this machine has no such");
  await ui.end();
});

test("for all addresses of the machine, what it prints is the machine's name, and any name is answered", async () => {
  await using ui = new Ui(["--host", "0.0.0.0"]);
  const [link = ""] = await ui.links(1);
  const { hostname: name, port } = new URL(link);
  expect(name).toBe(hostname().toLowerCase());
  expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(401);
  await ui.end();
});

test("for people it prints the address, and a browser that looks when it ends keeps nothing open", async () => {
  const role = await createRole(database);
  await database.sql.unsafe(`select leasehold.grant_monitoring('${role.name}')`);
  await using ui = new CliProcess(cli, ["ui", "--port", "0"], { url: role.url });
  await ui.wrote(/^http:\/\/127\.0\.0\.1:\d+\/\?token=\S+\n/);
  const link = ui.stdout.trim();
  const cookie = (await fetch(link, { redirect: "manual" })).headers.get("set-cookie")?.split(";")[0] ?? "";
  const stream = await fetch(`${new URL(link).origin}/events`, { headers: { cookie } });
  const reader = stream.body?.getReader();
  await reader?.read();
  ui.kill("SIGTERM");
  const { code, stdout, stderr } = await ui.result;
  expect(code).toBe(0);
  expect(stdout.split("\n")[1]).toMatch(/^For another browser: http:/);
  expect(stderr).toBe("Open it in a browser. Ctrl-C ends it.\n");
  await reader?.cancel().catch(() => undefined);
});
