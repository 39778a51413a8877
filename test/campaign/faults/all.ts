import type { FaultName } from "../names.js";
import { cancel, noConnections, terminate } from "./backends.js";
import type { Fault } from "./fault.js";
import { cut, delay, hungStatement, lostAnswer, refuse, silence } from "./network.js";
import { block, freeze, kill, wallClock } from "./processes.js";
import { crash, diskFull, killBackend, promote, restart, serverClock } from "./server.js";
import {
  forcedRelease,
  longTransaction,
  migration,
  preparedGuard,
  roleSettings,
  rowLock,
  sweep,
  tableLock,
  uncommittedInsert,
  vacuumFull,
} from "./tables.js";

export const faults: Readonly<Record<FaultName, Fault>> = {
  kill,
  freeze,
  block,
  "wall clock": wallClock,
  cut,
  silence,
  delay,
  refuse,
  "lost answer": lostAnswer,
  "hung statement": hungStatement,
  terminate,
  cancel,
  crash,
  restart,
  "kill backend": killBackend,
  promote,
  "disk full": diskFull,
  "no connections": noConnections,
  "server clock": serverClock,
  "table lock": tableLock,
  "row lock": rowLock,
  "uncommitted insert": uncommittedInsert,
  "prepared guard": preparedGuard,
  "vacuum full": vacuumFull,
  "long transaction": longTransaction,
  "forced release": forcedRelease,
  sweep,
  migration,
  "role settings": roleSettings,
};
