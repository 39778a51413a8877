import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { hostname } from "node:os";
import { toNodeHandler } from "../../ui/http/node-handler.js";
import { UsageError } from "../usage-error.js";
import { Gate, type GateOptions } from "./gate.js";

export interface ServerOptions extends Omit<GateOptions, "port" | "hostnames" | "onSignIn"> {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** Called with the address for the first browser, and again, for the next, whenever one was used. */
  readonly onLink: (url: string, isFirst: boolean) => void;
}

/** Addresses for all of this machine's. A browser elsewhere needs its name. */
const everywhere = ["0.0.0.0", "::"];
const loopback = ["127.0.0.1", "localhost", "::1"];

/** Serves the inspector to browsers. Resolves to a function that ends it. */
export async function serve({ host, port, onLink, ...options }: ServerOptions): Promise<() => Promise<void>> {
  const server = createServer();
  await listen(server, host, port);
  const { port: chosen } = server.address() as AddressInfo;
  const named = everywhere.includes(host) ? hostname() : host;
  const name = named.includes(":") ? `[${named}]` : named;
  const linkOf = (token: string): string => `http://${name}:${chosen}/?token=${token}`;
  const gate = new Gate({
    ...options,
    port: chosen,
    hostnames: loopback.includes(host) ? ["127.0.0.1", "localhost", "[::1]"] : null,
    onSignIn: (token) => onLink(linkOf(token), false),
  });
  server.on("request", toNodeHandler(gate.handle));
  onLink(linkOf(gate.token), true);
  return async () => {
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  };
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  const listening = once(server, "listening"); // rejects with the error that comes instead
  server.listen(port, host);
  try {
    await listening;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE")
      throw new UsageError(`--port ${port} is taken: choose another, or 0 for any that is free`);
    if (code === "EACCES") throw new UsageError(`--port ${port}: this user may not listen there`);
    if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND" || code === "EAI_AGAIN")
      throw new UsageError(`--host ${host}: this machine has no such address`);
    throw error;
  }
}
