import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import { describe } from "../../runtime/describe.js";

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
    // Node reads what is left of a body only if nobody has begun to: a connection that is kept would wait for it forever.
    response.once("finish", () => request.resume());
    answer(handle, request, response).catch((error: unknown) => {
      if (response.headersSent || response.destroyed) {
        response.destroy(); // whoever asked has gone, or the answer broke off
        return;
      }
      // The inspector never rejects, but an application's function around it may: without an answer, nobody would know why.
      console.error(
        `leasehold inspector: its handler has thrown: ${error instanceof Error ? error.stack : describe(error)}`,
      );
      response.writeHead(500, { "content-type": "text/plain; charset=utf-8" }).end("Something went wrong.\n");
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
  outgoing.writeHead(status, toNodeHeaders(headers));
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
  // Read, not asked for with `in`: the socket of an HTTP/2 request is a proxy.
  const scheme = (socket as { encrypted?: boolean }).encrypted === true ? "https" : "http";
  const host = headers.host ?? headers[":authority"] ?? "localhost"; // HTTP/2 has the latter
  const path = incoming.originalUrl ?? incoming.url ?? "/";
  const given = Object.entries(headers).flatMap(([name, value]): [string, string][] =>
    value === undefined || name.startsWith(":") ? [] : [[name, Array.isArray(value) ? value.join(", ") : value]],
  );
  const isEmpty = method === "GET" || method === "HEAD";
  try {
    // Not as a base: a path that begins with two slashes would be another host.
    const url = new URL(`${scheme}://${host}${path.startsWith("/") ? path : `/${path}`}`);
    return new Request(url, { method, headers: given, signal, ...(!isEmpty && bodyOf(incoming)) });
  } catch {
    return null;
  }
}

function bodyOf(incoming: IncomingMessage & Routed): RequestInit {
  const { body } = incoming;
  if (body === undefined) {
    // Not Readable.toWeb: it reads ahead, and stops where nobody reads on.
    const chunks = incoming.iterator({ destroyOnReturn: false }); // the answer is still to be sent over this connection
    return { body: ReadableStream.from(chunks) as ReadableStream<Uint8Array>, duplex: "half" };
  }
  const isRead = typeof body === "string" || body instanceof Uint8Array;
  return { body: isRead ? (body as string | Uint8Array<ArrayBuffer>) : JSON.stringify(body) };
}

/** Several cookies are several headers: an object has one of each name. */
function toNodeHeaders(headers: Headers): OutgoingHttpHeaders {
  const cookies = headers.getSetCookie();
  return { ...Object.fromEntries(headers), ...(cookies.length > 0 && { "set-cookie": cookies }) };
}
