// PgBouncer in front of a server: transaction pooling as hosted Postgres has it.
import { tlsSettings } from "./certificate.js";
import { findProgram } from "./find-program.js";
import { PoolerFolder, PoolerProcess, type PoolerProgram } from "./pooler-process.js";
import type { Settings } from "./settings.js";
import { transport, usualTls } from "./transport.js";

export interface PgBouncerOptions {
  /** Default: transaction. */
  readonly poolMode?: "transaction" | "session" | "statement";
  /** Server connections of a pool. Default: 5. */
  readonly poolSize?: number;
  /** Whoever logs in is that role on the server, too, with its own password. Default: everybody is the role of the server's address. */
  readonly isForAnyRole?: boolean;
  /** More of pgbouncer.ini's settings. */
  readonly settings?: Settings;
}

/** The path of the program, or undefined. Says so loudly, as what it tests stays untested. */
export async function findPgBouncer(): Promise<string | undefined> {
  const program = await findProgram("pgbouncer");
  if (program !== undefined) return program;
  console.warn("\n!!! PgBouncer IS NOT INSTALLED: its tests do NOT run. Debian: apt-get install pgbouncer !!!\n");
  return undefined;
}

/** Starts PgBouncer in front of the server of this address; undefined where it is not installed. */
export async function startPgBouncer(
  server: string,
  options: PgBouncerOptions = {},
): Promise<PoolerProcess | undefined> {
  const path = await findPgBouncer();
  if (path === undefined) return undefined;
  const program: PoolerProgram = {
    name: "PgBouncer",
    path,
    version: /([\d.]+)/,
    isReady: (output) => output.includes("process up"),
    end: (process) => process.kill("SIGKILL"),
    endScript: 'kill -KILL "$1"',
    configure: async (folder, port) => [await configure(folder, port, server, options)],
  };
  return PoolerProcess.start(program, await PoolerFolder.make("pgbouncer"));
}

async function configure(
  folder: PoolerFolder,
  port: number,
  server: string,
  options: PgBouncerOptions,
): Promise<string> {
  const { username, password } = new URL(server);
  const users = await folder.write(
    "users.txt",
    `"${decodeURIComponent(username)}" "${decodeURIComponent(password)}"\n`,
  );
  const tls = transport() === "tls" ? await prepareClientTls(folder.path) : {};
  const roles = options.isForAnyRole ? rolesOfTheServer(users) : {};
  const settings = { ...tls, ...roles, ...options.settings };
  return folder.write("pgbouncer.ini", configuration(server, port, { ...options, settings }));
}

/** Where this run's tests speak TLS, they do to the pooler; it does so to a server that has it by itself. */
async function prepareClientTls(folder: string): Promise<Settings> {
  const { ssl_cert_file, ssl_key_file } = await tlsSettings(folder, (await usualTls()).certificate);
  return {
    client_tls_sslmode: "require",
    client_tls_cert_file: String(ssl_cert_file),
    client_tls_key_file: String(ssl_key_file),
    server_tls_sslmode: "prefer",
  };
}

/** It asks the server for the verifier of a password, and logs in with what SCRAM leaves of the client's proof. */
function rolesOfTheServer(users: string): Settings {
  return { auth_type: "scram-sha-256", auth_file: users };
}

function configuration(server: string, port: number, options: PgBouncerOptions): string {
  const { hostname, port: serverPort, username, password } = new URL(server);
  const user = options.isForAnyRole
    ? `auth_user=${decodeURIComponent(username)}`
    : `user=${decodeURIComponent(username)} password=${decodeURIComponent(password)}`;
  const settings = {
    listen_addr: "127.0.0.1",
    listen_port: port,
    unix_socket_dir: "",
    auth_type: "any", // whoever asks is the user above
    pool_mode: options.poolMode ?? "transaction",
    default_pool_size: options.poolSize ?? 5,
    max_client_conn: 200,
    ...options.settings,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  return `[databases]\n* = host=${hostname} port=${serverPort || 5432} ${user}\n[pgbouncer]\n${lines.join("\n")}\n`;
}
