// The inspector in the frameworks of docs/guides/inspector.md, each as that page says, each behind its application's own authentication.
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Hello, StateMessage } from "../../src/ui/protocol.js";
import { WorkerProcess } from "../support/child.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { withFreePort } from "../support/ports.js";
import { until } from "../support/until.js";
import { EventReader } from "../ui/support/events.js";

const execute = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));
const page = await readFile(join(root, "docs/guides/inspector.md"), "utf8");
const blocks = new Map(
  [...page.matchAll(/^```ts\n\/\/ (\S+\.ts)\n(.*?)^```/gms)].map(([, name = "", text = ""]) => [name, text]),
);
const database = await createDatabase();
const authorization = `Basic ${btoa("operator:secret")}`;

/** Answers what a framework that has route handlers would pass on to those of route.ts. */
const nextServer = `
import { createServer } from "node:http";
import { toNodeHandler } from "leasehold/ui";
import { GET, POST } from "./route.js";

const handle = toNodeHandler((request) => (request.method === "POST" ? POST(request) : GET(request)));
createServer(handle).listen(Number(process.env.PORT), "127.0.0.1");
`;

/** Of express.ts and hono.ts, behind what an application may have before: parsers, which take the body away, and compression, which keeps what it gets for a while. */
const variants = {
  json: behind("express.ts", "express.json()"),
  text: behind("express.ts", 'express.text({ type: "*/*" })'),
  bytes: behind("express.ts", 'express.raw({ type: "*/*" })'),
  named: behind("express.ts", '(request, _, next) => { request.headers["x-user"] = "grace"; next(); }'),
  compressed: behind("express.ts", "compression()", 'import compression from "compression";'),
  squeezed: behind("hono.ts", "compress()", 'import { compress } from "hono/compress";'),
};

function behind(name: string, middleware: string, line = ""): string {
  return `${line}\n${blocks.get(name)?.replace(/^const app = .*;\n/m, (made) => `${made}app.use(${middleware});\n`)}`;
}

/** With the option whose effect is in the log. */
function withActor(text: string): string {
  const actor = 'actor: (request) => request.headers.get("x-user")';
  return text.replace(
    /createInspector\((?:\{ (.*) \})?\)/,
    (_, rest) => `createInspector({ ${rest ? `${rest}, ` : ""}${actor} })`,
  );
}

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "leasehold-inspector-"));
  const others = Object.entries(variants).map(([name, text]): [string, string] => [`${name}.ts`, text]);
  const files = new Map([...blocks, ["next.ts", nextServer], ...others]);
  for (const [name, text] of files) await writeFile(join(folder, name), withActor(text));
  for (const name of files.keys()) {
    const served = `import { serve } from "${join(root, "test/support/worker.ts")}";
import "./${name.replace(/ts$/, "js")}";
serve(() => ({}));
`;
    await writeFile(join(folder, `main-${name}`), served);
  }
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  await symlink(join(root, "test/libraries/node_modules"), join(folder, "node_modules"));
  const compilerOptions = {
    allowImportingTsExtensions: true,
    paths: { "leasehold/ui": [join(root, "src/ui.ts")] },
  };
  const settings = { extends: join(root, "tsconfig.json"), compilerOptions, include: ["*.ts"], exclude: [] };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(settings));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** A server of one of these files, in a process of its own. */
async function start(name: string, basePath: string) {
  return await withFreePort(async (port) => {
    const env = {
      DATABASE_URL: database.url,
      OPERATOR_PASSWORD: "secret",
      PORT: String(port),
      TSX_TSCONFIG_PATH: join(folder, "tsconfig.json"),
    };
    const worker = await WorkerProcess.start(join(folder, `main-${name}.ts`), {}, { env });
    const origin = `http://127.0.0.1:${port}`;
    await until("it listens", () =>
      fetch(origin).then(
        () => true,
        () => false,
      ),
    );
    const ask = (path: string, { headers, ...init }: RequestInit = {}) =>
      fetch(`${origin}${basePath}${path}`, { redirect: "manual", ...init, headers: { authorization, ...headers } });
    return {
      origin,
      ask,
      log: () => worker.stderr,
      events: (cookie: string) => new EventReader((signal) => ask("/events", { signal, headers: { cookie } })),
      [Symbol.asyncDispose]: () => worker.dispose(),
    };
  });
}

async function statusOf(url: string, headers: Record<string, string>, body: string): Promise<number> {
  const all = { authorization, "content-type": "application/json", ...headers };
  const asked = request(url, { method: "POST", agent: false, headers: all });
  const answered = once(asked, "response");
  asked.on("error", () => undefined); // once it was answered, the rest of the body may find nobody
  asked.end(body);
  const [answer] = await answered;
  answer.on("error", () => undefined).resume();
  return answer.statusCode;
}

test("the examples compile", async () => {
  expect([...blocks.keys()]).toEqual(["operator.ts", "hono.ts", "express.ts", "fastify.ts", "route.ts", "node.ts"]);
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const result = await execute(process.execPath, [tsc, "-p", folder]).catch((error: { stdout: string }) => error);
  expect(result.stdout).toBe("");
});

test("the functions of route.ts, as Next calls them; what builds an application has no database", async () => {
  const program = `
import { GET, POST } from "./route.js";

const ask = (path: string, method: string, authorization: string) =>
  (method === "POST" ? POST : GET)(new Request(\`http://app.example/locks\${path}\`, { method, headers: { authorization } }));
const statuses: number[] = [];
for (const method of ["GET", "HEAD", "POST"]) {
  statuses.push((await ask("/app.js", method, "Basic nobody")).status, (await ask("/app.js", method, "${authorization}")).status);
}
statuses.push((await ask("/sweep", "POST", "${authorization}")).status);
console.log(JSON.stringify(statuses));
`;
  await writeFile(join(folder, "build.ts"), program);
  const env = { PATH: process.env.PATH, OPERATOR_PASSWORD: "secret", TSX_TSCONFIG_PATH: join(folder, "tsconfig.json") };
  const { stdout } = await execute(process.execPath, ["--import", "tsx", join(folder, "build.ts")], { cwd: root, env });
  expect(JSON.parse(stdout)).toEqual([401, 200, 401, 200, 401, 405, 403]);
});

const mounted = ["hono", "express", "fastify", "next", ...Object.keys(variants)].map(
  (name) => [name, "/locks"] as const,
);

describe.each([...mounted, ["node", ""] as const])("in %s.ts", (name, basePath) => {
  test("the page, its files, the stream as it happens, acts; nothing for who is not let in", async () => {
    await using locker = openLocker(database, { owner: "holder", presence: "off" });
    await using server = await start(name, basePath);
    for (const path of ["/", "/app.js", "/events", "/metrics"]) {
      const refused = await server.ask(path, { headers: { authorization: "Basic nobody" } });
      expect([refused.status, await refused.text()], path).toEqual([401, "Who are you?"]);
    }

    // with and without a slash at the end, as a browser follows its links
    for (const path of basePath === "" ? ["/"] : ["", "/"]) {
      const html = await server.ask(path);
      expect(html.status, path).toBe(200);
      const links = [...(await html.text()).matchAll(/(?<=(?:href|src)=")[^"]*/g)].map(([link]) => link);
      expect(links).toHaveLength(3);
      for (const link of links) {
        const file = await fetch(new URL(link, `${server.origin}${basePath}${path}`), { headers: { authorization } });
        expect([file.status, file.headers.get("content-security-policy")], link).toEqual([
          200,
          expect.stringContaining("default-src 'none'"),
        ]);
        expect((await file.text()).length).toBeGreaterThan(100);
      }
    }
    for (const path of ["/", "/app.js", "/events"]) {
      const head = await server.ask(path, { method: "HEAD" });
      expect([head.status, await head.text()], path).toEqual([200, ""]);
    }
    expect((await server.ask("/nothing")).status).toBe(404);
    expect((await server.ask("/sweep")).status).toBe(405);
    // Next itself refuses what route.ts has no function for
    if (name !== "next") expect((await server.ask("/", { method: "DELETE" })).status).toBe(405);
    expect(await (await server.ask("/metrics")).text()).toContain("\nleasehold_up 1\n");

    const cookie = (await server.ask("/")).headers.get("set-cookie")?.split(";")[0] ?? "";
    await using events = server.events(cookie);
    const { acts } = await events.until<Hello>("hello");
    const lock = await locker.acquire(`${name}:a`);
    await events.until<StateMessage>("state", ({ changes }) => (changes.leases?.set.length ?? 0) > 0);

    const post = (body: string, headers: Record<string, string>) =>
      server.ask("/force-release", {
        method: "POST",
        body,
        headers: { "content-type": "application/json", cookie, ...headers },
      });
    const body = JSON.stringify({ key: `${name}:a`, immediate: true });
    expect((await post(body, {})).status).toBe(403);
    const token = { "x-leasehold-token": acts?.token ?? "", "x-user": "ada" };
    expect((await post(body, { ...token, authorization: "Basic nobody" })).status).toBe(401);
    expect((await post("{}", token)).status).toBe(400);
    // Longer than a body may be: refused here, or by the parser. Each over a connection of its own, for Hono's server closes it.
    for (const length of [50_000, 3_000_000]) {
      const long = JSON.stringify({ key: "x".repeat(length) });
      expect([400, 413], `${length}`).toContain(
        await statusOf(`${server.origin}${basePath}/force-release`, { ...token, cookie }, long),
      );
    }
    expect(await locker.isLocked(`${name}:a`)).toBe(true);
    const done = await post(body, token);
    expect([done.status, await done.json()]).toMatchObject([200, { outcome: "released" }]);
    expect(await locker.isLocked(`${name}:a`)).toBe(false);
    await until("it is in the log", () => server.log().includes('"leasehold":"inspector"'));
    const lines = server
      .log()
      .split("\n")
      .filter((line) => line.startsWith('{"leasehold":"inspector"'));
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      {
        actor: name === "named" ? "grace" : "ada",
        action: "force-release",
        key: `${name}:a`,
        fence: null,
        immediate: true,
        outcome: "released",
      },
    ]);
    await lock.release().catch(() => undefined);
    await events.until<StateMessage>("state", ({ changes }) => (changes.leases?.gone.length ?? 0) > 0);

    // a browser that goes away is noticed: nobody looks any more
    const looks = async () => {
      const [row] = await database.sql`
        select max(query_start)::text as at from pg_stat_activity
         where application_name = 'leasehold inspector' and datname = current_database()`;
      return row?.at;
    };
    await events.close();
    await until("it looks no more", async () => {
      const before = await looks();
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      return (await looks()) === before;
    });
  });
});
