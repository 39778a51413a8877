import type { ConnectionOptions } from "../api/connection-options.js";
import type { JsonObject, JsonValue } from "../api/metadata.js";
import type { ConnectionTarget } from "../config/connection-url.js";
import { CONNECT_TIMEOUT_MS, type ResolvedLockerOptions } from "../config/resolve-options.js";
import { knownTargets } from "../config/resolve-targets.js";

/** The options in effect, as JSON: addresses without their secrets, functions as `[function]`, unlimited durations as `Infinity`. */
export function describeOptions(options: ResolvedLockerOptions): JsonObject {
  const { instance: _, targets, client, connection, metadata, connectTimeoutMs, ...plain } = options;
  const known = options.store === "postgres" ? knownTargets(targets) : null;
  const { target, directTarget } = known ?? { target: null, directTarget: null };
  return {
    url: target === null ? null : describeTarget(target),
    directUrl: directTarget === null ? null : describeTarget(directTarget),
    client: client === null ? null : "[client]",
    connection: describeConnection(connection),
    connectTimeoutMs: connectTimeoutMs ?? target?.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    metadata: metadata.value,
    ...Object.fromEntries(Object.entries(plain).map(([name, value]) => [name, describeValue(value)])),
  };
}

/** Built from the parts that cannot contain a secret. The text of the address itself is not used. */
function describeTarget({ hosts, path, database }: ConnectionTarget): string {
  const names = hosts.map(({ host, port }) => `${host.includes(":") ? `[${host}]` : host}:${port}`);
  const authority = path === null ? names.join(",") : encodeURIComponent(path);
  return `postgres://${authority}/${encodeURIComponent(database)}`;
}

/** Options whose values contain no secret. Of all others it is only shown that they are set. */
const shown: ReadonlySet<string> = new Set<keyof ConnectionOptions>([
  "host",
  "port",
  "path",
  "database",
  "sslnegotiation",
  "keep_alive",
  "target_session_attrs",
]);

function describeConnection(connection: ConnectionOptions): JsonObject {
  const given = Object.entries(connection).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    given.map(([name, value]) => {
      const isShown = shown.has(name) || (name === "ssl" && typeof value !== "object");
      return [name, isShown || typeof value === "function" ? describeValue(value) : "[hidden]"];
    }),
  );
}

function describeValue(value: string | number | boolean | object | null): JsonValue {
  if (typeof value === "function") return "[function]";
  if (Array.isArray(value)) return value.map(describeValue);
  if (typeof value === "object" && value !== null) return "[object]";
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}
