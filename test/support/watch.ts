// Which sockets and timers this process has open. The libraries under test unref theirs, and what is unref'd shows in none of
// Node's own lists: so it is noted when it is made. Must be loaded before what it watches.
import { syncBuiltinESMExports } from "node:module";
import { Socket } from "node:net";
import timers from "node:timers";
import { isOwnSocket } from "./client.js";

const sockets = new Map<Socket, string>();
const pending = new Map<NodeJS.Timeout, string>();

/** Sockets and timers that are open now, each with the place that made it. */
export function openHandles(): Map<object, string> {
  const open = new Map<object, string>();
  for (const [socket, stack] of sockets) {
    if (!socket.destroyed && !isOwnSocket(socket)) open.set(socket, `socket to port ${socket.remotePort}\n${stack}`);
  }
  for (const [timer, stack] of prune(pending)) open.set(timer, `timer\n${stack}`);
  return open;
}

const connect = Socket.prototype.connect;
Socket.prototype.connect = function (this: Socket, ...args: unknown[]): Socket {
  sockets.set(this, stackHere());
  this.once("close", () => sockets.delete(this));
  return Reflect.apply(connect, this, args);
} as typeof connect;

for (const name of ["setTimeout", "setInterval"] as const) {
  const original = timers[name];
  const watched = (...args: unknown[]): NodeJS.Timeout => {
    const timer: NodeJS.Timeout = Reflect.apply(original, globalThis, args);
    if (pending.size > 10_000) prune(pending);
    pending.set(timer, stackHere());
    return timer;
  };
  // with what hangs on it: util.promisify finds its own form there
  const replacement = Object.defineProperties(watched, Object.getOwnPropertyDescriptors(original)) as typeof original;
  Object.assign(timers, { [name]: replacement });
  Object.assign(globalThis, { [name]: replacement });
}
syncBuiltinESMExports();

/** Forgets timers that have fired or were cleared, by the property with which Node itself marks them. */
function prune(all: Map<NodeJS.Timeout, string>): Map<NodeJS.Timeout, string> {
  for (const timer of all.keys()) {
    if ((timer as unknown as { _destroyed: boolean })._destroyed) all.delete(timer);
  }
  return all;
}

function stackHere(): string {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 8;
  const { stack = "" } = new Error();
  Error.stackTraceLimit = stackTraceLimit;
  return stack.split("\n").slice(3).join("\n");
}
