import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";

/** As Express calls it, and Fastify with `request.raw` and `reply.raw`. */
export type NodeHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** What frameworks add: the whole path, where a router has taken its own part off; and the body, where a parser has read it. */
interface Routed {
  readonly originalUrl?: string;
  readonly body?: unknown;
}

/**
 * Makes a handler for `node:http`, Express and the like of one for `Request` and `Response`. Where a parser has read the body, `request.body` has what it read.
 */
export function toNodeHandler(handle: (request: Request) => Promise<Response>): NodeHandler {
  return (request, response) => {
    answer(handle, request, response).catch(() => {
      response.destroy(); // whoever asked has gone, or the answer broke off
    });
  };
}

async function answer(
  handle: (request: Request) => Promise<Response>,
  incoming: IncomingMessage & Routed,
  outgoing: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  outgoing.once("close", () => gone.abort());
  const request = toRequest(incoming, gone.signal);
  if (request === null) {
    outgoing.writeHead(400, { "content-type": "text/plain; charset=utf-8" }).end("This is no request for a page.\n");
    return;
  }
  const { status, headers, body } = await handle(request);
  outgoing.writeHead(status, Object.fromEntries(headers));
  if (body === null || incoming.method === "HEAD") {
    await body?.cancel();
    outgoing.end();
    return;
  }
  outgoing.flushHeaders();
  await pipeline(Readable.fromWeb(body as NodeReadableStream), outgoing);
}

/** Null: `Request` takes no such address or method, such as CONNECT. */
function toRequest(incoming: IncomingMessage & Routed, signal: AbortSignal): Request | null {
  const { method = "GET", headers, socket } = incoming;
  const scheme = "encrypted" in socket ? "https" : "http";
  const path = incoming.originalUrl ?? incoming.url ?? "/";
  const given = Object.entries(headers).flatMap(([name, value]): [string, string][] =>
    value === undefined || name.startsWith(":") ? [] : [[name, Array.isArray(value) ? value.join(", ") : value]],
  );
  const isEmpty = method === "GET" || method === "HEAD";
  try {
    // Not as a base: a path that begins with two slashes would be another host.
    const url = new URL(`${scheme}://${headers.host ?? "localhost"}${path.startsWith("/") ? path : `/${path}`}`);
    return new Request(url, { method, headers: given, signal, ...(!isEmpty && bodyOf(incoming)) });
  } catch {
    return null;
  }
}

function bodyOf(incoming: IncomingMessage & Routed): RequestInit {
  return incoming.body === undefined
    ? { body: Readable.toWeb(incoming) as ReadableStream<Uint8Array>, duplex: "half" }
    : { body: typeof incoming.body === "string" ? incoming.body : JSON.stringify(incoming.body) };
}
