// What toNodeHandler makes of a request of node:http and node:http2, and of an answer. Frameworks are in test/libraries.
import { once } from "node:events";
import { Agent, createServer, type IncomingHttpHeaders, request, type Server } from "node:http";
import { connect, createServer as createHttp2Server, createSecureServer, type Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { generate } from "selfsigned";
import { expect, test, vi } from "vitest";
import { toNodeHandler } from "../../src/ui.js";

type Handle = (request: Request) => Promise<Response>;

async function listen(server: Server | Http2Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** Asks over one connection, which is kept. `parsed`: what a parser of the framework has read. */
async function serve(handle: Handle, parsed?: { body: unknown }) {
  const handler = toNodeHandler(handle);
  const server = createServer((incoming, outgoing) => handler(Object.assign(incoming, parsed), outgoing));
  const port = await listen(server);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const sockets = new Set<unknown>();
  server.on("connection", (socket) => sockets.add(socket));
  const ask = async (path: string, { method = "GET", body = "" } = {}) => {
    const headers = body === "" ? {} : { "content-length": Buffer.byteLength(body) };
    const asked = request({ port, host: "127.0.0.1", path, method, agent, headers }).end(body);
    const [answer] = await once(asked, "response", { signal: AbortSignal.timeout(30_000) });
    let text = "";
    for await (const chunk of answer) text += chunk;
    return { status: answer.statusCode as number, text, headers: answer.headers as IncomingHttpHeaders };
  };
  const dispose = async () => {
    agent.destroy();
    const ended = once(server, "close");
    server.close();
    server.closeAllConnections();
    await ended;
  };
  return { ask, port, sockets, [Symbol.asyncDispose]: dispose };
}

const MEGABYTES = 20_000_000; // more than the buffers of both sides have room for

test("a long body that is not read, or not to its end, does not keep the connection from the next request", async () => {
  await using served = await serve(async ({ url, body }) => {
    if (url.endsWith("/begun")) for await (const _chunk of body ?? []) break;
    return new Response(url.endsWith("/next") ? "next" : "refused", { status: url.endsWith("/next") ? 200 : 403 });
  });
  for (const path of ["/unread", "/begun"]) {
    const refused = await served.ask(path, { method: "POST", body: "x".repeat(MEGABYTES) });
    expect([refused.status, refused.text], path).toEqual([403, "refused"]);
    expect((await served.ask("/next")).text, path).toBe("next");
  }
  expect(served.sockets.size).toBe(1);
});

test("an answer that is made of the body gets all of it", async () => {
  await using served = await serve(async ({ body }) => new Response(body));
  const body = "0123456789".repeat(200_000);
  expect((await served.ask("/", { method: "POST", body })).text).toBe(body);
});

test.each([
  ["an object", { key: "a" }, '{"key":"a"}'],
  ["null", null, "null"],
  ["text", '{"key":"a"}', '{"key":"a"}'],
  ["bytes", Buffer.from('{"key":"a"}'), '{"key":"a"}'],
])("a body that a parser has read: %s", async (_, body, expected) => {
  await using served = await serve(async (asked) => new Response(await asked.text()), { body });
  expect((await served.ask("/", { method: "POST", body: "read before" })).text).toBe(expected);
});

test("several cookies are several headers", async () => {
  await using served = await serve(async () => {
    const headers = new Headers([
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
    ]);
    return new Response(null, { headers });
  });
  expect((await served.ask("/")).headers["set-cookie"]).toEqual(["a=1", "b=2"]);
});

test("a function around the inspector that throws: 500, and a line that says why", async () => {
  const written = vi.spyOn(console, "error").mockImplementation(() => undefined);
  try {
    await using served = await serve(async () => {
      throw new Error("no such user");
    });
    expect(await served.ask("/")).toMatchObject({ status: 500, text: "Something went wrong.\n" });
    expect(written.mock.calls).toEqual([[expect.stringContaining("its handler has thrown: Error: no such user")]]);
  } finally {
    written.mockRestore();
  }
});

test("when whoever asked goes away, the signal is aborted and the answer cancelled", async () => {
  const told = new EventTarget();
  const heard = ["aborted", "cancelled"].map((name) => new Promise((resolve) => told.addEventListener(name, resolve)));
  await using served = await serve(async ({ signal }) => {
    signal.addEventListener("abort", () => told.dispatchEvent(new Event("aborted")));
    const start = (controller: ReadableStreamDefaultController) => controller.enqueue(new TextEncoder().encode("one"));
    const cancel = () => void told.dispatchEvent(new Event("cancelled"));
    return new Response(new ReadableStream({ start, cancel }));
  });
  const stop = new AbortController();
  const { body } = await fetch(`http://127.0.0.1:${served.port}`, { signal: stop.signal });
  expect(new TextDecoder().decode((await body?.getReader().read())?.value)).toBe("one");
  stop.abort();
  await Promise.all(heard);
});

test.each(["http", "https"])("HTTP/2 over %s: its address, bodies, heads, answers", async (scheme) => {
  const handler = toNodeHandler(async (asked) => {
    const { method, url, headers } = asked;
    const names = [...headers.keys()].filter((name) => name.startsWith(":"));
    return Response.json({ method, url, names, body: await asked.text() }, { headers: { "set-cookie": "a=1" } });
  }) as unknown as Parameters<typeof createHttp2Server>[1];
  const { private: key, cert } = await generate([{ name: "commonName", value: "localhost" }]);
  const server = scheme === "http" ? createHttp2Server(handler) : createSecureServer({ key, cert }, handler);
  const client = connect(`${scheme}://127.0.0.1:${await listen(server)}`, { rejectUnauthorized: false });
  const ask = async (method: string, body: string) => {
    const asked = client.request({ ":method": method, ":path": "/locks/?a=b", ":authority": "app.example:4430" });
    if (method === "POST") asked.end(body); // the others have ended already
    const [headers] = await once(asked, "response");
    let text = "";
    for await (const chunk of asked) text += chunk;
    return { status: headers[":status"], cookies: headers["set-cookie"], text };
  };
  try {
    const url = `${scheme}://app.example:4430/locks/?a=b`;
    for (const method of ["GET", "POST"]) {
      const body = method === "POST" ? "text" : "";
      const answer = await ask(method, body);
      expect(answer).toMatchObject({ status: 200, cookies: ["a=1"] });
      expect(JSON.parse(answer.text)).toEqual({ method, url, names: [], body });
    }
    expect(await ask("HEAD", "")).toMatchObject({ status: 200, text: "" });
  } finally {
    client.destroy();
    server.close();
  }
});
