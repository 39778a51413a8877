import { cookieOf, isEqual, makeSecret } from "../../ui/http/secrets.js";

export interface GateOptions {
  readonly handle: (request: Request) => Promise<Response>;
  /** Of the server. Cookies do not tell ports apart, so it is part of the cookie's name. */
  readonly port: number;
  /** Names by which the server is asked. Null: any. Another site's name for this address must not get in. */
  readonly hostnames: readonly string[] | null;
  /** Who brings it may read /metrics. Null: nobody without having signed in. */
  readonly metricsToken: string | null;
  /** Called when a link was used, with the token of the next one. */
  readonly onSignIn: (token: string) => void;
}

/** Lets those in who open the address that was printed. Each is good for one browser, which gets a cookie. */
export class Gate {
  readonly #options: GateOptions;
  readonly #cookieName: string;
  readonly #cookies = new Set<string>();
  #token = makeSecret();

  constructor(options: GateOptions) {
    this.#options = options;
    this.#cookieName = `leasehold-ui-${options.port}`;
  }

  /** Of the address that is to be printed. */
  get token(): string {
    return this.#token;
  }

  readonly handle = async (request: Request): Promise<Response> => {
    const { hostnames, handle } = this.#options;
    const { hostname, pathname, searchParams } = new URL(request.url);
    if (hostnames !== null && !hostnames.includes(hostname)) {
      return refuse(421, `This is not ${hostname}.`);
    }
    const token = searchParams.get("token");
    if (pathname === "/" && token !== null) {
      return this.#signIn(request, token);
    }
    const mayRead = pathname === "/metrics" && this.#hasMetricsToken(request);
    return mayRead || this.#isSignedIn(request)
      ? await handle(request)
      : refuse(401, "Open the address that leasehold ui has printed last. Each is good for one browser.");
  };

  #signIn(request: Request, token: string): Response {
    if (this.#isSignedIn(request)) {
      return found(null);
    }
    // Asked for before anybody has opened it: it would be used up.
    const isAhead = request.method !== "GET" || request.headers.has("sec-purpose");
    if (isAhead || !isEqual(token, this.#token)) {
      return refuse(401, "This address was used already. Open the one that leasehold ui has printed last.");
    }
    const cookie = makeSecret();
    this.#cookies.add(cookie);
    this.#token = makeSecret();
    this.#options.onSignIn(this.#token);
    // Not Strict: a link on another site leads here by a redirect, with which a browser would not send it. Acts need a token besides.
    return found(`${this.#cookieName}=${cookie}; HttpOnly; SameSite=Lax; Path=/`);
  }

  #isSignedIn(request: Request): boolean {
    const value = cookieOf(request, this.#cookieName);
    return value !== null && [...this.#cookies].some((cookie) => isEqual(cookie, value));
  }

  #hasMetricsToken(request: Request): boolean {
    const { metricsToken } = this.#options;
    return metricsToken !== null && isEqual(request.headers.get("authorization") ?? "", `Bearer ${metricsToken}`);
  }
}

function found(cookie: string | null): Response {
  const headers = { location: "/", "cache-control": "no-store", "referrer-policy": "no-referrer" };
  return new Response(null, { status: 303, headers: { ...headers, ...(cookie !== null && { "set-cookie": cookie }) } });
}

function refuse(status: number, text: string): Response {
  return new Response(`${text}\n`, {
    status,
    headers: {
      "content-type": "text/plain; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    },
  });
}
