// The surroundings of a round: how processes reach the server, how it is set up, and what may happen there.
import { access } from "node:fs/promises";
import { findPgBouncer } from "../support/pgbouncer.js";
import type { Settings } from "../support/settings.js";
import type { Limit } from "./log.js";
import type { FaultName } from "./names.js";

export interface Scene {
  readonly name: string;
  /** For the report: what is special about it. */
  readonly what: string;
  readonly settings?: Settings;
  /** To the server. */
  readonly tls?: true;
  /** PgBouncer between the proxies and the server. */
  readonly pooler?: "transaction" | "session";
  /** Default: on. `both`: half of the processes have none. */
  readonly presence?: "on" | "off" | "both";
  readonly standby?: "lagging" | "synchronous";
  readonly leavesOldPrimary?: true;
  /** The server and the processes have a clock that can be set. */
  readonly hasClocks?: true;
  readonly diskMb?: number;
  /** How often each fault is drawn, beside those that are everywhere. */
  readonly faults: Partial<Readonly<Record<FaultName, number>>>;
  readonly limits: readonly Limit[];
  /** Why it cannot be played on this machine. */
  readonly obstacle?: () => Promise<string | undefined>;
}

/** What can happen everywhere. */
export const usualFaults: Partial<Readonly<Record<FaultName, number>>> = {
  kill: 4,
  freeze: 6,
  block: 4,
  cut: 4,
  silence: 4,
  delay: 2,
  refuse: 2,
  "lost answer": 5,
  "hung statement": 5,
  terminate: 4,
  cancel: 2,
  "forced release": 1,
  sweep: 1,
};

export const fakeTimeLibrary = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

async function missingFakeTime(): Promise<string | undefined> {
  return access(fakeTimeLibrary).then(
    () => undefined,
    () => "libfaketime is not installed (Debian: apt-get install faketime)",
  );
}

async function missingPgBouncer(): Promise<string | undefined> {
  return (await findPgBouncer()) === undefined
    ? "PgBouncer is not installed (Debian: apt-get install pgbouncer)"
    : undefined;
}

async function cannotMount(): Promise<string | undefined> {
  return process.platform === "linux" && process.getuid?.() === 0 ? undefined : "only root may mount a small disk";
}

export const scenes: readonly Scene[] = [
  { name: "plain", what: "one server, plain TCP", faults: {}, limits: [] },
  { name: "tls", what: "over TLS", tls: true, faults: {}, limits: [] },
  {
    name: "crashes",
    what: "the server crashes, restarts, loses a backend",
    faults: { crash: 6, restart: 4, "kill backend": 5 },
    limits: [],
  },
  {
    name: "strangers",
    what: "others lock tables and rows, vacuum, migrate, keep transactions open",
    faults: {
      "table lock": 5,
      "row lock": 10,
      "uncommitted insert": 6,
      "prepared guard": 4,
      "vacuum full": 3,
      "long transaction": 3,
      "forced release": 5,
      sweep: 4,
      migration: 2,
    },
    limits: [],
  },
  {
    name: "settings",
    what: "roles with settings that break other clients; more connections wanted than there are",
    settings: { max_connections: 60, superuser_reserved_connections: 10 },
    faults: { "role settings": 10, "no connections": 4 },
    limits: [],
  },
  {
    name: "pooled",
    what: "commands through PgBouncer's transaction pooling, half of the processes without presence",
    pooler: "transaction",
    presence: "both",
    faults: { crash: 1, "row lock": 2 },
    limits: [],
    obstacle: missingPgBouncer,
  },
  {
    name: "session-pooled",
    what: "through PgBouncer's session pooling",
    pooler: "session",
    faults: { restart: 1 },
    limits: [],
    obstacle: missingPgBouncer,
  },
  {
    name: "no-presence",
    what: "presence off: leases alone",
    presence: "off",
    faults: { crash: 2, "row lock": 2 },
    limits: ["no-presence"],
  },
  {
    name: "failover",
    what: "a standby that lags is promoted",
    standby: "lagging",
    faults: { promote: 8 },
    limits: ["async-failover"],
  },
  {
    name: "old-primary",
    what: "a standby that lags is promoted while half of the processes go on with the old primary",
    standby: "lagging",
    leavesOldPrimary: true,
    faults: { promote: 8 },
    limits: ["async-failover", "old-primary"],
  },
  {
    name: "synchronous",
    what: "a synchronous standby is promoted while half of the processes go on with the old primary",
    standby: "synchronous",
    leavesOldPrimary: true,
    faults: { promote: 8 },
    limits: [],
  },
  {
    name: "disk",
    what: "the disk fills up",
    diskMb: 180,
    settings: { wal_keep_size: "16MB", max_wal_size: "32MB", min_wal_size: "32MB" },
    faults: { "disk full": 10 },
    limits: [],
    obstacle: cannotMount,
  },
  {
    name: "clocks",
    what: "wall clocks of processes and of the server are set forward and back",
    hasClocks: true,
    faults: { "wall clock": 8, "server clock": 3 },
    limits: ["clock-step"],
    obstacle: missingFakeTime,
  },
];
