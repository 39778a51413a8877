import type { ConnectionOptions } from "../api/connection-options.js";
import { checkConnectionOptions } from "../config/connection-options.js";
import type { ConnectionTarget } from "../config/connection-url.js";
import { targetsOf } from "../config/resolve-targets.js";
import { InvalidOptionError } from "../errors/errors.js";
import { checkBoolean, checkFunction, checkNames } from "../errors/option-checks.js";

/** What was done with the inspector, or tried. For a log. */
export interface InspectorAct {
  /** When it was asked for. */
  readonly at: Date;
  /** Who did it, as the option `actor` says; null where that is not given. */
  readonly actor: string | null;
  /** What was asked for. */
  readonly action: "force-release" | "sweep";
  /** Null for a sweep. */
  readonly key: string | null;
  /** The one grant that was meant; null for whoever has the key. */
  readonly fence: bigint | null;
  /** Of a forced release: whether the key was to be free at once. */
  readonly immediate: boolean;
  /** What came of it, in a few words, such as `revoked`; or the message of the error. */
  readonly outcome: string;
}

/** Options of `createInspector`. */
export interface InspectorOptions {
  /** Address of the database, as for `createLocker`. Default: from the environment, as there. Its role needs `leasehold.grant_monitoring`. */
  readonly url?: string | undefined;
  /** Its address past any pooler. Default: as for `createLocker`. */
  readonly directUrl?: string | undefined;
  /** More about the connection, as for `createLocker`. */
  readonly connection?: ConnectionOptions | undefined;
  /** Where it is mounted, such as `/locks`. Default `/`. A framework that takes the path off before it calls the handler is fine, too. */
  readonly basePath?: string | undefined;
  /** Nobody can release locks by force, or sweep, whatever the role may do. Default false: who may is up to `leasehold.grant_admin`. */
  readonly readOnly?: boolean | undefined;
  /** How many rows of each kind are shown at most: 1 to 100,000. Default 10,000. */
  readonly maxRows?: number | undefined;
  /** Who acts, for the log: read from what the application knows of the request. */
  readonly actor?: ((request: Request) => string | null | Promise<string | null>) | undefined;
  /** Called for each act, also one that failed. Default: one line of JSON on standard error. */
  readonly onAct?: ((act: InspectorAct) => void) | undefined;
}

export interface ResolvedInspectorOptions {
  readonly url: string | undefined;
  readonly directUrl: string | undefined;
  readonly connection: ConnectionOptions;
  /** Where queries go. @throws InvalidOptionError when nobody says */
  readonly target: () => ConnectionTarget;
  /** Without a slash at its end: empty for `/`. */
  readonly basePath: string;
  readonly isReadOnly: boolean;
  readonly maxRows: number;
  readonly actor: NonNullable<InspectorOptions["actor"]>;
  readonly onAct: NonNullable<InspectorOptions["onAct"]>;
}

const known: Readonly<Record<keyof InspectorOptions, true>> = {
  url: true,
  directUrl: true,
  connection: true,
  basePath: true,
  readOnly: true,
  maxRows: true,
  actor: true,
  onAct: true,
};
const MOST_ROWS = 100_000;

/** @throws InvalidOptionError */
export function resolveInspectorOptions(options: InspectorOptions): ResolvedInspectorOptions {
  const given = checkNames("createInspector's options", options, Object.keys(known)) as InspectorOptions;
  const { url, directUrl, actor, onAct, readOnly = false, maxRows = 10_000, basePath = "/" } = given;
  const connection = checkConnectionOptions(given.connection);
  const targets = targetsOf({ url, directUrl, connection, client: null, env: process.env });
  return {
    url,
    directUrl,
    connection,
    target: () => targets().directTarget as ConnectionTarget, // there is one where no client is given
    basePath: checkBasePath(basePath),
    isReadOnly: checkBoolean("readOnly", readOnly),
    maxRows: checkMaxRows(maxRows),
    actor: actor === undefined ? () => null : checkFunction("actor", actor),
    onAct: onAct === undefined ? logAct : checkFunction("onAct", onAct),
  };
}

function checkBasePath(value: unknown): string {
  if (typeof value === "string" && /^(\/[\w.~%!$&'()*+,;=:@-]+)*\/?$/.test(value)) {
    return value.replace(/\/$/, "");
  }
  throw new InvalidOptionError({ option: "basePath", expected: "a path such as /locks", received: value });
}

function checkMaxRows(value: unknown): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= MOST_ROWS) {
    return value;
  }
  throw new InvalidOptionError({ option: "maxRows", expected: `an integer of 1 to ${MOST_ROWS}`, received: value });
}

/** One line of JSON on standard error. */
export function logAct({ fence, ...act }: InspectorAct): void {
  console.error(JSON.stringify({ leasehold: "inspector", ...act, fence: fence === null ? null : String(fence) }));
}
