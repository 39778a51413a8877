import { type View, view } from "./view.js";

export const activeLeases: View = view("active_leases", {
  orderBy: "v.key, v.fence",
  empty: "No key is held.",
  table: {
    key: { heading: "KEY", isElastic: true },
    state: { heading: "STATE" },
    mode: { heading: "MODE", isRare: true, usual: "exclusive" },
    weight: { heading: "WEIGHT", isRare: true },
    capacity: { heading: "CAPACITY", isRare: true },
    fence: { heading: "FENCE" },
    owner: { heading: "OWNER", isElastic: true },
    is_session_alive: { heading: "ALIVE" },
    remaining: { heading: "REMAINING" },
    held_for: { heading: "HELD" },
    waiters: { heading: "WAITERS" },
    blocking_pid: { heading: "BLOCKING PID", isRare: true },
    blocking_transaction: { heading: "BLOCKING TRANSACTION", isRare: true },
  },
});

export const queuedWaiters: View = view("waiting", {
  orderBy: "v.key, v.position",
  empty: "Nobody waits.",
  table: {
    key: { heading: "KEY", isElastic: true },
    position: { heading: "#" },
    mode: { heading: "MODE", isRare: true, usual: "exclusive" },
    weight: { heading: "WEIGHT", isRare: true },
    capacity: { heading: "CAPACITY", isRare: true },
    owner: { heading: "OWNER", isElastic: true },
    waiting_for: { heading: "WAITING" },
    is_alive: { heading: "ALIVE" },
    blocked_by: { heading: "BLOCKED BY", isElastic: true },
    blocking_pid: { heading: "BLOCKING PID", isRare: true },
    blocking_transaction: { heading: "BLOCKING TRANSACTION", isRare: true },
  },
});

export const liveSessions: View = view("live_sessions", {
  orderBy: "v.id",
  empty: "No session is open.",
  table: {
    id: { heading: "ID" },
    owner: { heading: "OWNER", isElastic: true },
    pid: { heading: "PID" },
    host: { heading: "HOST", isElastic: true },
    client_address: { heading: "ADDRESS" },
    version: { heading: "VERSION" },
    silent_for: { heading: "SILENT" },
    is_alive: { heading: "ALIVE" },
    leases: { heading: "LEASES" },
    waits: { heading: "WAITS" },
  },
});

export const expiredLeases: View = view("expired_leases", {
  orderBy: "v.key, v.fence",
  empty: "No lease is expired.",
  table: {
    key: { heading: "KEY", isElastic: true },
    mode: { heading: "MODE", isRare: true, usual: "exclusive" },
    fence: { heading: "FENCE" },
    owner: { heading: "OWNER", isElastic: true },
    reason: { heading: "REASON" },
    expired_for: { heading: "EXPIRED FOR" },
    waiters: { heading: "WAITERS" },
  },
});

export const clusterStats: View = view("stats", {
  orderBy: "1",
  empty: "",
  table: {},
});

export const statsByPrefix: View = view("stats_by_prefix", {
  orderBy: "v.acquired desc, v.prefix",
  empty: "Nothing was counted yet.",
  table: {
    prefix: { heading: "PREFIX", isElastic: true },
    acquired: { heading: "ACQUIRED" },
    refused: { heading: "REFUSED" },
    timed_out: { heading: "TIMED OUT" },
    contended: { heading: "CONTENDED" },
    taken_over: { heading: "TAKEN OVER" },
    wait_mean: { heading: "MEAN WAIT" },
  },
});

export const hotKeys: View = view("hot_keys", {
  orderBy: "v.contended desc, v.key",
  empty: "No key was contended in the last hour.",
  table: {
    key: { heading: "KEY", isElastic: true },
    contended: { heading: "CONTENDED" },
    contended_at_most: { heading: "AT MOST" },
    acquired: { heading: "ACQUIRED" },
    wait_mean: { heading: "MEAN WAIT" },
  },
});
