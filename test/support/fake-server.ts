// A port at which no Postgres is.
import { createServer, type Socket } from "node:net";
import { withFreePort } from "./ports.js";

export interface FakeServer extends AsyncDisposable {
  readonly port: number;
}

/** A server that accepts connections, and does this with them. */
export async function fakeServer(treat: (socket: Socket) => void): Promise<FakeServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    treat(socket);
  });
  const port = await withFreePort(
    (candidate) =>
      new Promise<number>((resolve, reject) => {
        server.once("error", reject).listen(candidate, "127.0.0.1", () => resolve(candidate));
      }),
  );
  return {
    port,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
