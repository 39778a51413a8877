// The names of what a campaign consists of, for the log, the command line and the report.

/** What the nemesis can do. */
export const faultNames = [
  // to a process
  "kill",
  "freeze",
  "block",
  "wall clock",
  // to the network between a process and the server
  "cut",
  "silence",
  "delay",
  "refuse",
  "lost answer",
  "hung statement",
  // to its backends
  "terminate",
  "cancel",
  // to the server
  "crash",
  "restart",
  "kill backend",
  "promote",
  "disk full",
  "no connections",
  "server clock",
  // to the tables
  "table lock",
  "row lock",
  "uncommitted insert",
  "prepared guard",
  "vacuum full",
  "long transaction",
  // by operators
  "forced release",
  "sweep",
  "migration",
  "role settings",
] as const;

export type FaultName = (typeof faultNames)[number];
