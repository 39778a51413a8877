import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** Calls `use` with ports that were free a moment ago, until it does not fail with EADDRINUSE. */
export async function withFreePort<T>(use: (port: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    // below the range that kernels draw outgoing ports from: a port that is given up for a moment stays free
    const port = randomInt(20_000, 32_000);
    if (attempt < 50 && !(await isFree(port))) continue;
    try {
      return await use(port);
    } catch (error) {
      if (attempt >= 50 || (error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    }
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
