// The inspector in the frameworks of docs/guides/inspector.md, each as that page says, each behind its application's own authentication.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
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

/** Behind what parses every body before the handler comes. */
const parsingServer = blocks
  .get("express.ts")
  ?.replace("const app = express();\n", "const app = express();\napp.use(express.json());\n");

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "leasehold-inspector-"));
  const files = new Map([...blocks, ["next.ts", nextServer], ["parsing.ts", String(parsingServer)]]);
  for (const [name, text] of files) await writeFile(join(folder, name), text);
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
      events: (cookie: string) => new EventReader((signal) => ask("/events", { signal, headers: { cookie } })),
      [Symbol.asyncDispose]: () => worker.dispose(),
    };
  });
}

test("the examples compile", async () => {
  expect([...blocks.keys()]).toEqual(["operator.ts", "hono.ts", "express.ts", "fastify.ts", "route.ts", "node.ts"]);
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const result = await execute(process.execPath, [tsc, "-p", folder]).catch((error: { stdout: string }) => error);
  expect(result.stdout).toBe("");
});

const servers = { hono: "/locks", express: "/locks", parsing: "/locks", fastify: "/locks", next: "/locks", node: "" };

describe.each(Object.entries(servers))("in %s.ts", (name, basePath) => {
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
    const head = await server.ask("/app.js", { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    expect((await server.ask("/nothing")).status).toBe(404);
    expect((await server.ask("/sweep")).status).toBe(405);
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
    const token = { "x-leasehold-token": acts?.token ?? "" };
    expect((await post("{}", token)).status).toBe(400);
    expect((await post(JSON.stringify({ key: "x".repeat(50_000) }), token)).status).toBe(400);
    expect(await locker.isLocked(`${name}:a`)).toBe(true);
    const done = await post(body, token);
    expect([done.status, await done.json()]).toMatchObject([200, { outcome: "released" }]);
    expect(await locker.isLocked(`${name}:a`)).toBe(false);
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
