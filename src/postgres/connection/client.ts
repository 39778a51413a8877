import postgres from "postgres";
import type { ConnectionTarget } from "../../config/connection-url.js";
import { describeType } from "../../runtime/describe.js";
import type { Host } from "./dial.js";
import { FunctionFailed } from "./link-closed.js";
import type { Wire } from "./wire.js";

/** The fields of a notice from the server, as postgres.js names them. */
export type Notice = { readonly [field: string]: string | undefined };

export interface ClientOptions {
  readonly target: ConnectionTarget;
  /** One of the target's hosts; null for its unix socket. */
  readonly host: Host;
  readonly applicationName: string;
  /**
   * Whether to use named prepared statements. False if there may be a transaction pooler: the next backend may not have
   * what was prepared on this one.
   */
  readonly prepare: boolean;
  /** Called once, with the first statement: postgres.js reconnects only when it is told that its socket closed. */
  readonly connect: () => Promise<Wire>;
  /** Read after `connect` has resolved. */
  readonly password: () => string;
  readonly onNotify: () => void;
  readonly onNotice: (notice: Notice) => void;
}

/**
 * The default export of postgres.js. Where our CommonJS module requires it, Bun gives the ES module in its place, with the function as its
 * `default`.
 */
const makeClient: typeof postgres =
  typeof postgres === "function" ? postgres : (postgres as unknown as { readonly default: typeof postgres }).default;

/** A postgres.js client for one connection, whose socket and TLS are ours (see wire.ts). It has no timers of its own. */
export function clientOf(options: ClientOptions): postgres.Sql {
  const { target, host } = options;
  return withoutEnvironment({
    host: [host?.host ?? "localhost"],
    port: [host?.port ?? 5432],
    database: target.database,
    user: target.user,
    pass: options.password,
    ssl: false,
    connection: { ...target.startup, application_name: options.applicationName },
    max: 1,
    max_lifetime: null,
    idle_timeout: 0,
    connect_timeout: 0,
    keep_alive: 0,
    fetch_types: false,
    prepare: options.prepare,
    // postgres.js takes missing options from variables such as PGDEBUG, which would show tokens in errors.
    max_pipeline: 100,
    backoff: 0,
    debug: false,
    sslnegotiation: null,
    socket: options.connect,
    onnotify: options.onNotify,
    onnotice: options.onNotice,
  });
}

/**
 * A client that ignores the environment. PGTARGETSESSIONATTRS is the only variable that no option can switch off:
 * postgres.js throws for libpq's "any", and refuses a primary for "standby". But it accepts options that it has already
 * parsed as they are.
 */
function withoutEnvironment(options: object): postgres.Sql {
  const parsed = makeClient({ ...options, target_session_attrs: "primary" }).options;
  return makeClient({ ...parsed, target_session_attrs: null } as unknown as postgres.Options<Record<string, never>>);
}

/** Called before the driver starts: nobody could catch an error while it logs in. */
export async function passwordOf({ password }: ConnectionTarget): Promise<string> {
  if (typeof password !== "function") {
    return password;
  }
  try {
    const text: unknown = await password();
    if (typeof text !== "string") {
      throw new TypeError(`expected a string, got ${describeType(text)}`);
    }
    return text;
  } catch (error) {
    throw new FunctionFailed("the function that gives the password failed", { cause: error });
  }
}
