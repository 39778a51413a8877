import { randomInt } from "node:crypto";
import { createServer, type Server } from "node:net";

/**
 * Ports that are free now, all of them different. Below the range from which kernels draw outgoing ports, so that they stay free
 * while what listens on them restarts.
 */
export async function freePorts(count: number): Promise<number[]> {
  const servers = new Map<number, Server>();
  for (let attempt = 0; servers.size < count && attempt < 1_000; attempt += 1) {
    const port = randomInt(20_000, 32_000);
    const server = await listen(port);
    if (server !== null) servers.set(port, server);
  }
  await Promise.all([...servers.values()].map((server) => new Promise((resolve) => server.close(resolve))));
  if (servers.size < count) throw new Error(`there are no ${count} free ports between 20000 and 32000`);
  return [...servers.keys()];
}

function listen(port: number): Promise<Server | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(null)).listen(port, "127.0.0.1", () => resolve(server));
  });
}
