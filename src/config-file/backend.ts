import type { BackendOptions } from "../api/options.js";
import { storeNames } from "../config/resolve-store.js";
import { checkOneOf } from "../errors/option-checks.js";
import { connection } from "./connection.js";
import type { Kind, Table } from "./kind.js";
import { address, choice, duration } from "./kinds.js";

/** The names of the user's own stores are not known to a schema. */
const store: Kind<string> = {
  schema: { anyOf: [{ enum: storeNames }, { type: "string" }] },
  read: (value, path, { stores }) => checkOneOf(path, value, [...storeNames, ...Object.keys(stores)]),
};

/** The options of one database, of a locker and of each of its instances. */
export const backend: Table<BackendOptions> = {
  url: {
    kind: address,
    about: "Address of the database. Default: LEASEHOLD_DATABASE_URL or DATABASE_URL of the environment, or PG*.",
  },
  directUrl: { kind: address, about: "Address of the same database past any pooler. Default: url." },
  client: { excluded: "it is a client that is open; give it to createLocker, beside what the configuration says" },
  connection: { kind: connection, about: "Options of postgres.js for the locker's own connections." },
  presence: {
    kind: choice("on", "off"),
    about: "off: no session; works through any pooler, and a crash frees locks at their TTL. Default on.",
  },
  takeoverDelayMs: {
    kind: duration(1_000, { zero: true }),
    about: "How long after its last heartbeat a crashed process loses its locks: 0, or 1 s and more. Default 5 s.",
  },
  requestTimeoutMs: { kind: duration(50), about: "How long to wait for an answer of Postgres. Default 5 s." },
  connectTimeoutMs: {
    kind: duration(50),
    about: "How long one attempt to connect may take. Default: connect_timeout of the address, else 5 s.",
  },
  idleTimeoutMs: {
    kind: duration(50, { infinite: true }),
    about: "An idle locker gives its connections back after this long. Default 60 s.",
  },
  sweepEveryMs: {
    kind: duration(1_000, { infinite: true }),
    about: "How often the sweeper runs while the locker is in use; Infinity: never. Default 60 s.",
  },
  statsFlushMs: {
    kind: duration(100, { infinite: true }),
    about: "How long after something was counted the counters are written; Infinity: never. Default 10 s.",
  },
  store: {
    kind: store,
    about:
      "postgres, memory, noop, or one of the program's own stores. Default: LEASEHOLD_STORE of the environment, else postgres.",
  },
  stores: { excluded: "stores are functions; give them to parseConfig or configFromEnv, as { stores }" },
};
