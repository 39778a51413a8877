// Leaks: what a process leaves open when it has closed everything. P11: how many connections it uses.
import type { History } from "./history.js";
import type { Process } from "./processes.js";
import type { Report } from "./verdict.js";

const MOST_CONNECTIONS = 3;
/** So long may the server take to notice that a client is gone. */
const UNNOTICED = 30_000_000;

export function checkLeaks(history: History, report: Report): void {
  for (const process of history.processes.values()) checkEnd(process, report);
  checkConnections(history, report);
  checkLeftConnections(history, report);
  checkLeftSessions(history, report);
}

function checkEnd({ name, hello, bye, exit, isKilled, uncaught }: Process, report: Report): void {
  for (const entry of uncaught)
    report.object("leak", `${name} has an error that nobody caught: ${firstLine(entry.text)}`, [entry]);
  if (hello === undefined) return;
  if (isKilled) {
    if (exit?.isWanted === false)
      report.object("leak", `${name} was ended by ${exit.signal}, and nobody wanted that`, [exit]);
    report.checked("leak", "processes that were killed");
    return;
  }
  report.checked("leak", "processes that ended by themselves");
  if (bye === undefined) report.object("leak", `${name} never came to its end`, [hello, exit]);
  else if (bye.open.length > 0)
    report.object("leak", `${name} had closed everything, and had still open: ${bye.open.join(", ")}`, [bye]);
  if (exit !== undefined && exit.code !== 0 && !exit.isWanted)
    report.object("leak", `${name} ended with the exit code ${exit.code}`, [exit]);
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}

function checkConnections(history: History, report: Report): void {
  for (const entry of history.connections) {
    report.checked("P11", "counts of connections");
    if (entry.count <= MOST_CONNECTIONS) continue;
    if (isPooled(history)) {
      report.unsure(
        "P11",
        "counts above 3 behind a pooler, which keeps connections under the name of who used them first",
      );
      continue;
    }
    const { name, calls } = history.processOf(entry.of) ?? { name: entry.of, calls: new Map() };
    const faults = history.faultsBetween(entry.t - UNNOTICED, entry.t);
    // a locker that is being closed beside the next one, or a second one that is to be refused
    const hasTwo = [...calls.values()].some(({ entry: { call, mustFail, t }, settled }) => {
      const ofAnother = call === "close" || mustFail !== undefined;
      return ofAnother && t <= entry.t && (settled?.t ?? entry.t) >= entry.t - UNNOTICED;
    });
    if (hasTwo || faults.some(({ begin: { on } }) => on.length === 0 || on.includes(name))) {
      report.unsure(
        "P11",
        "counts above 3 of a process with two lockers, or while the server may not have noticed that a connection is gone",
      );
      continue;
    }
    report.object(
      "P11",
      `${entry.of} had ${entry.count} connections at ${history.times.say(entry.t)}, and may have ${MOST_CONNECTIONS}`,
      [entry],
    );
  }
}

/** The connections to the server are PgBouncer's then. */
function isPooled({ round }: History): boolean {
  return round?.scene.includes("pooled") === true;
}

function checkLeftConnections(history: History, report: Report): void {
  const ended = [...history.processes.values()].filter(({ bye }) => bye !== undefined);
  report.checked("leak", "processes whose connections must be gone", ended.length);
  for (const entry of history.left.connections) {
    const process = ended.find((one) => isOf(entry.application, one));
    if (process && isPooled(history)) report.unsure("leak", "connections that a pooler keeps");
    else if (process) {
      report.object(
        "leak",
        `${process.name} had closed everything, and still has a connection: ${firstLine(entry.query)}`,
        [process.bye, entry],
      );
    } else report.unsure("leak", "connections of nobody who had closed everything");
  }
  for (const entry of history.left.locks) {
    const session = history.left.sessions.find(({ sessionId, pid }) => sessionId === entry.objid && pid === entry.pid);
    const process = session && history.processOf(session.owner);
    if (process?.bye && process.hello?.client !== "node") {
      report.unsure("leak", "advisory locks of connections that are not the library's");
    } else if (process?.bye) {
      report.object(
        "leak",
        `${process.name} had closed everything, and its session ${entry.objid} still has its advisory lock`,
        [process.bye, session, entry],
      );
    } else report.unsure("leak", "advisory locks of nobody who had closed everything");
  }
}

/** Named by its locker: pools of its own for data are not the library's. */
function isOf(application: string, { name, hello }: Process): boolean {
  if (/\bdata\b/.test(application)) return false;
  const own = hello?.application ?? name;
  const isBegun =
    application.startsWith(own) && !/\w\w/.test(own.slice(-1) + application.slice(own.length, own.length + 1));
  return isBegun || application.split(/\W+/).includes(name);
}

/** A heartbeat that goes on when its process has closed everything. */
function checkLeftSessions(history: History, report: Report): void {
  const { times, left } = history;
  for (const entry of left.sessions) {
    const process = history.processOf(entry.owner);
    const seenAt = times.monotonic(entry.seenAt, entry.node);
    if (process?.bye === undefined || seenAt === null) continue;
    report.checked("leak", "sessions that were left behind");
    if (seenAt <= process.bye.t + 1_000_000) continue;
    report.object(
      "leak",
      `${process.name} had closed everything at ${times.say(process.bye.t)}, and its session ${entry.sessionId} had a heartbeat at ${times.say(seenAt)}`,
      [process.bye, entry],
    );
  }
}
