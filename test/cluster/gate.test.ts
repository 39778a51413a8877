// The network that a node is cut off by.
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { until } from "../support/until.js";
import { Gate } from "./gate.js";

/** Answers what it is sent. */
async function startEcho() {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    socket.pipe(socket);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    sockets,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function dial(port: number) {
  const socket = connect(port, "127.0.0.1").on("error", () => {});
  const seen = { text: "", isClosed: false };
  socket.setEncoding("utf8").on("data", (text) => {
    seen.text += text;
  });
  socket.once("close", () => {
    seen.isClosed = true;
  });
  return { socket, seen, [Symbol.dispose]: () => socket.destroy() };
}

test("what is sent passes; while the gate is shut nothing does, and then all of it, in order", async () => {
  await using echo = await startEcho();
  await using gate = await Gate.start("echo", echo.port);
  using before = dial(gate.port);
  before.socket.write("a");
  await until("it comes back", () => before.seen.text === "a");

  gate.shut();
  before.socket.write("b");
  using meanwhile = dial(gate.port);
  await once(meanwhile.socket, "connect");
  meanwhile.socket.write("c");
  // the end of a side is not told to the other one, either
  for (const socket of echo.sockets) socket.end("d");
  await sleep(300);
  const whileShut = [before.seen.text, meanwhile.seen.text, before.seen.isClosed];
  gate.open();

  await until(
    "all has arrived",
    () => before.seen.text.length > 1 && before.seen.isClosed && meanwhile.seen.text === "c",
  );
  expect(whileShut).toEqual(["a", "", false]);
  expect(before.seen.text).toBe("ad");
});

test("a side that is gone is told to the other one", async () => {
  await using echo = await startEcho();
  await using gate = await Gate.start("echo", echo.port);
  using client = dial(gate.port);
  client.socket.write("a");
  await until("it comes back", () => client.seen.text === "a");
  for (const socket of echo.sockets) socket.resetAndDestroy();
  await until("the client is told", () => client.seen.isClosed);

  using refused = dial(gate.port);
  await echo[Symbol.asyncDispose]();
  refused.socket.write("a");
  await until("nobody answers", () => refused.seen.isClosed);
  expect(refused.seen.text).toBe("");
});
