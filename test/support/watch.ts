// Which sockets and timers this process has open. The libraries under test unref theirs, and what is unref'd shows in none of
// Node's own lists: so it is noted when it is made. Must be loaded before what it watches.
import { syncBuiltinESMExports } from "node:module";
import { Socket } from "node:net";
import timers from "node:timers";
import { isOwnSocket } from "./client.js";

const sockets = new Map<Socket, Error>();
const pending = new Map<NodeJS.Timeout, Error>();

/** Sockets and timers that are open now, each with what tells the place that made it. */
export function openHandles(): Map<object, () => string> {
  const open = new Map<object, () => string>();
  for (const [socket, made] of sockets) {
    if (socket.destroyed || isOwnSocket(socket)) continue;
    open.set(socket, () => `socket to port ${socket.remotePort}\n${placeOf(made)}`);
  }
  for (const [timer, made] of prune(pending)) open.set(timer, () => `timer\n${placeOf(made)}`);
  return open;
}

const connect = Socket.prototype.connect;
Socket.prototype.connect = function (this: Socket, ...args: unknown[]): Socket {
  sockets.set(this, here());
  this.once("close", () => sockets.delete(this));
  return Reflect.apply(connect, this, args);
} as typeof connect;

for (const name of ["setTimeout", "setInterval"] as const) {
  const original = timers[name];
  const watched = (...args: unknown[]): NodeJS.Timeout => {
    const timer: NodeJS.Timeout = Reflect.apply(original, globalThis, args);
    if (pending.size > 10_000) prune(pending);
    pending.set(timer, here());
    return timer;
  };
  // with what hangs on it: util.promisify finds its own form there
  const replacement = Object.defineProperties(watched, Object.getOwnPropertyDescriptors(original)) as typeof original;
  Object.assign(timers, { [name]: replacement });
  Object.assign(globalThis, { [name]: replacement });
}
syncBuiltinESMExports();

/** Forgets timers that have fired or were cleared, by the property with which Node itself marks them. */
function prune(all: Map<NodeJS.Timeout, Error>): Map<NodeJS.Timeout, Error> {
  for (const timer of all.keys()) {
    if ((timer as unknown as { _destroyed: boolean })._destroyed) all.delete(timer);
  }
  return all;
}

function here(): Error {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 8;
  const made = new Error();
  Error.stackTraceLimit = stackTraceLimit;
  return made;
}

/** Not asked of each: to write a stack down, with the places in the sources, takes a tenth of the time of a test. */
function placeOf({ stack = "" }: Error): string {
  return stack.split("\n").slice(3).join("\n");
}
