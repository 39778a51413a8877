// Statements are sent without waiting for answers only where nothing ends the connection in between: poolers have mixed up the answers.
import { once } from "node:events";
import { type AddressInfo, connect as connectTo, createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { parseConnectionUrl } from "../../src/config/connection-url.js";
import { connect, HostList } from "../../src/postgres/connection/connect.js";
import { changeUrl } from "../support/client.js";
import { createDatabase } from "../support/database.js";
import { startProxy } from "../support/proxy.js";
import { transport } from "../support/transport.js";

const database = await createDatabase();

function open(url: string): ReturnType<typeof connect> {
  return connect({
    hosts: new HostList(parseConnectionUrl(url, "url", {}, {})),
    applicationName: "leasehold",
    connectTimeoutMs: 30_000,
    prepare: true,
    settings: [],
    signal: null,
  });
}

/** How many of two statements, asked together, are sent before the first has an answer. */
async function sentTogether(url: string, sent: () => number): Promise<number> {
  const { link, hello } = await open(url);
  const before = sent();
  const first = link.query("select 'asked', pg_catalog.pg_sleep(0.3)::pg_catalog.text").then(() => sent() - before);
  const second = link.query("select 'asked' as what");
  const together = await first;
  expect(await second).toEqual([{ what: "asked" }]);
  expect(hello.isUnbroken).toBe(together === 2);
  await link.end();
  return together;
}

// what it sends over TLS nobody sees
test.skipIf(transport() === "tls")(
  "what passes bytes on, and says nothing of it, is noticed: each statement waits for the answer to the one before",
  async () => {
    const sockets: Socket[] = [];
    let asked = 0;
    const forwarder = createServer((client) => {
      const { hostname, port } = new URL(database.url);
      const server = connectTo(Number(port || 5432), hostname);
      sockets.push(client, server);
      for (const socket of [client, server]) socket.on("error", () => {});
      client.on("data", (chunk) => {
        asked += chunk.toString("latin1").split("'asked'").length - 1;
      });
      client.pipe(server).pipe(client);
    });
    await once(forwarder.listen(0, "127.0.0.1"), "listening");
    const { port } = forwarder.address() as AddressInfo;
    try {
      expect(await sentTogether(changeUrl(database.url, { host: "127.0.0.1", port }), () => asked)).toBe(1);
    } finally {
      for (const socket of sockets) socket.destroy();
      forwarder.close();
    }
  },
);

test("directly they are sent together, and so through the proxy of these tests, which hides itself", async () => {
  await using proxy = await startProxy(database.url);
  const asked = () => proxy.statements.filter(({ sql }) => sql.includes("'asked'")).length;

  expect(await sentTogether(proxy.url(database.url), asked)).toBe(2);

  const { link, hello } = await open(database.url);
  expect(hello.isUnbroken).toBe(true);
  await link.end();
});
