import { cookieOf, isEqual, makeSecret } from "./secrets.js";

/** A header that no page of another origin can send, for a browser asks first. */
const HEADER = "x-leasehold-token";
const COOKIE = "leasehold-act";

/**
 * The token that goes with every act: in a cookie, which pages of another site cannot read, and in a header, in which they cannot send it. So no process
 * has to remember any, and the acts of a page may come to another process than the page did. (OWASP: double-submit cookie.)
 */
export function tokenOf(request: Request): string | null {
  const value = cookieOf(request, COOKIE);
  return value !== null && /^[\w-]{32}$/.test(value) ? value : null;
}

/** Whether it is from one of our pages, and asks for what its user did there. */
export function isOfOurPage(request: Request): boolean {
  const site = request.headers.get("sec-fetch-site");
  const token = tokenOf(request);
  const isSame = token !== null && isEqual(request.headers.get(HEADER) ?? "", token);
  return isSame && (site === null || site === "same-origin");
}

/** For the answer that brings the page. None where the browser has a token already, for other pages that are open. */
export function tokenHeaders(request: Request, basePath: string): Readonly<Record<string, string>> {
  if (tokenOf(request) !== null) {
    return {};
  }
  const attributes = `HttpOnly; SameSite=Lax; Path=${basePath === "" ? "/" : basePath}`;
  const isSecure = new URL(request.url).protocol === "https:";
  return {
    "set-cookie": `${COOKIE}=${makeSecret()}; ${attributes}${isSecure ? "; Secure" : ""}`,
  };
}
