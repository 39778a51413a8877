// Makes a data folder that of a server that speaks TLS, and nothing else.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { tlsSettings } from "./certificate.js";
import { giveToServer } from "./server-binaries.js";
import type { Settings } from "./settings.js";
import type { ServerTls } from "./transport.js";

/** Returns the settings with which the server must run. They name no folder: a standby has copies of its own. */
export async function prepareTls(
  dataDir: string,
  { certificate, clientAuthority, acceptsPlain }: ServerTls,
): Promise<Settings> {
  await tlsSettings(dataDir, certificate);
  const own = async (name: string, text: string) => {
    const file = join(dataDir, name);
    await writeFile(file, text, { mode: 0o600 });
    await giveToServer(file);
  };
  const demanded = clientAuthority ? " clientcert=verify-ca" : "";
  // A standby comes without: before it speaks TLS, libpq reads files in the home folder of whoever runs the tests, and may not.
  await own(
    "pg_hba.conf",
    `${acceptsPlain ? "host" : "hostssl"} all all 127.0.0.1/32 scram-sha-256${demanded}\nhost replication all 127.0.0.1/32 scram-sha-256\n`,
  );
  if (clientAuthority) await own("root.crt", clientAuthority.cert);
  return {
    ssl: "on",
    ssl_cert_file: "server.crt",
    ssl_key_file: "server.key",
    ...(clientAuthority ? { ssl_ca_file: "root.crt" } : {}),
  };
}
