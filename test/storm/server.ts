// The server of a storm: TCP, TLS and a unix socket, and a role for each way to log in.
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { makeAuthority, makeCertificate, tlsSettings } from "../support/certificate.js";
import { type Cluster, startCluster } from "../support/cluster.js";

/** Each role is named after its way to log in, which is also its password. */
export const roles = ["trust", "scram-sha-256", "md5", "password"] as const;

export interface StormServer extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly port: number;
  /** The full path of its unix socket. */
  readonly path: string;
  /** What a client must trust. */
  readonly ca: string;
}

export async function startStormServer(): Promise<StormServer> {
  const cluster = await startCluster({ settings: { max_connections: 300 } });
  const authority = await makeAuthority();
  const folder = dirname(cluster.dataDir);
  const sql = await cluster.sql();
  for (const role of roles) {
    await sql.unsafe(`set password_encryption = '${role === "md5" ? "md5" : "scram-sha-256"}';
      create role "${role}" login superuser password '${role}'`);
  }
  const rules = roles.map((role) => `local all "${role}" ${role}\nhost all "${role}" 127.0.0.1/32 ${role}`);
  await writeFile(
    join(cluster.dataDir, "pg_hba.conf"),
    [...rules, "local all all scram-sha-256", "host all all 127.0.0.1/32 scram-sha-256", ""].join("\n"),
  );
  const tls = await tlsSettings(folder, await makeCertificate(authority, ["localhost", "127.0.0.1"]));
  await cluster.stop("fast");
  await cluster.start({ ...tls, max_connections: 300, fsync: "off", unix_socket_directories: folder });
  return {
    cluster,
    port: cluster.port,
    path: join(folder, `.s.PGSQL.${cluster.port}`),
    ca: authority.cert,
    [Symbol.asyncDispose]: () => cluster.destroy(),
  };
}
