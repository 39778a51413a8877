import { randomBytes, timingSafeEqual } from "node:crypto";

/** 32 characters, for a cookie, a header or an address. */
export function makeSecret(): string {
  return randomBytes(24).toString("base64url");
}

/** In a time that does not tell where they differ. */
export function isEqual(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** Null: the request has no such cookie. */
export function cookieOf(request: Request, name: string): string | null {
  const pairs = (request.headers.get("cookie") ?? "").split(";").map((pair) => pair.trim());
  return pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1) ?? null;
}
