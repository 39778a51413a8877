import type { ConnectionTarget } from "../../config/connection-url.js";
import { causesOf } from "../../runtime/causes.js";
import type { Host } from "./dial.js";

/** Where the connection led that an error is about. Kept beside the errors, which may be a server's or a driver's. */
const places = new WeakMap<object, string>();

/** How the other hosts of the same address failed. Each has its own place. */
const others = new WeakMap<object, readonly unknown[]>();

/** `host:port`, or the path of a unix socket. Neither holds a secret. */
export function placeOf({ path }: Pick<ConnectionTarget, "path">, host: Host): string {
  if (host === null) {
    return path ?? "";
  }
  return `${host.host.includes(":") ? `[${host.host}]` : host.host}:${host.port}`;
}

/** Notes where an error comes from, unless that is known already. */
export function noteFailedAt(error: unknown, place: string | null): void {
  if (place !== null && typeof error === "object" && error !== null && failedAt(error) === null) {
    places.set(error, place);
  }
}

/** Where the connection led that this error, or one of its causes, is about. */
export function failedAt(error: unknown): string | null {
  for (const at of causesOf(error)) {
    const place = typeof at === "object" && at !== null ? places.get(at) : undefined;
    if (place !== undefined) {
      return place;
    }
  }
  return null;
}

/** Notes how the other hosts failed that were tried before this error. */
export function noteOthers(error: unknown, failures: readonly unknown[]): void {
  if (failures.length > 0 && typeof error === "object" && error !== null) {
    others.set(error, failures);
  }
}

/** How the other hosts failed that were tried before this error, or before one of its causes. */
export function othersOf(error: unknown): readonly unknown[] {
  for (const at of causesOf(error)) {
    const failures = typeof at === "object" && at !== null ? others.get(at) : undefined;
    if (failures !== undefined) {
      return failures;
    }
  }
  return [];
}
