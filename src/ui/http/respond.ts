/** Everything comes from here, and nothing goes anywhere else. No inline code, no frames, no plug-ins. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

export interface Answer {
  readonly status?: number;
  readonly type: string;
  /** Default: never kept. */
  readonly cache?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export function respond(
  body: ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer> | string | null,
  { status = 200, type, cache = "no-store", headers = {} }: Answer,
): Response {
  return new Response(body, {
    status,
    headers: { ...SECURITY_HEADERS, "content-type": type, "cache-control": cache, ...headers },
  });
}

export function respondText(status: number, text: string, headers: Readonly<Record<string, string>> = {}): Response {
  return respond(`${text}\n`, { status, type: "text/plain; charset=utf-8", headers });
}

/** `json`: text. */
export function respondJson(status: number, json: string): Response {
  return respond(json, { status, type: "application/json" });
}
