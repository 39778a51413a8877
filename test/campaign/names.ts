// The names of what the nemesis can do, for the log and the report.

export type FaultName =
  // to a process
  | "kill"
  | "freeze"
  | "block"
  | "wall clock"
  // to the network between a process and the server
  | "cut"
  | "silence"
  | "delay"
  | "refuse"
  | "lost answer"
  | "hung statement"
  // to its backends
  | "terminate"
  | "cancel"
  // to the server
  | "crash"
  | "restart"
  | "kill backend"
  | "promote"
  | "disk full"
  | "no connections"
  | "server clock"
  // to the tables
  | "table lock"
  | "row lock"
  | "uncommitted insert"
  | "prepared guard"
  | "vacuum full"
  | "long transaction"
  // by operators
  | "forced release"
  | "sweep"
  | "migration"
  | "role settings";
