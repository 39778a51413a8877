import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type TLSSocket } from "node:tls";
import postgres from "postgres";
import { expect, test } from "vitest";
import { makeAuthority, makeCertificate, tlsSettings } from "./certificate.js";
import { startCluster } from "./cluster.js";

test("a certificate is trusted by who trusts its authority, for the names that it has, and by nobody else", async () => {
  const authority = await makeAuthority();
  const server = createServer(await makeCertificate(authority, ["localhost", "127.0.0.1"]), (socket) => socket.end());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const judge = async (options: { ca?: string; servername?: string }): Promise<string | undefined> => {
    const socket: TLSSocket = connect({ port, host: "127.0.0.1", ...options });
    const verdict = await once(socket, "secureConnect").then(
      () => "trusted",
      (error: NodeJS.ErrnoException) => error.code,
    );
    socket.destroy();
    return verdict;
  };
  expect(await judge({ ca: authority.cert })).toBe("trusted");
  expect(await judge({ ca: authority.cert, servername: "localhost" })).toBe("trusted");
  expect(await judge({ ca: authority.cert, servername: "other.example" })).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
  expect(await judge({ ca: (await makeAuthority("another")).cert })).not.toBe("trusted");
  expect(await judge({})).not.toBe("trusted");
  await new Promise((resolve) => server.close(resolve));
});

test("a cluster speaks TLS with it", async () => {
  await using cluster = await startCluster();
  const certificate = await makeCertificate(await makeAuthority(), ["localhost"]);
  const settings = await tlsSettings(cluster.dataDir, certificate);
  await cluster.stop("fast");
  await cluster.start(settings);
  const sql = postgres(cluster.url, { ssl: "require", max: 1 });
  expect(await sql`select ssl from pg_stat_ssl where pid = pg_backend_pid()`).toEqual([{ ssl: true }]);
  await sql.end();
});
