// PgBouncer in front of a server: transaction pooling as hosted Postgres has it.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { tlsSettings } from "./certificate.js";
import { changeUrl } from "./client.js";
import { findProgram } from "./find-program.js";
import { type Guardian, guard } from "./guardian.js";
import { withFreePort } from "./ports.js";
import { closed, opened } from "./resources.js";
import { serverUser } from "./server-binaries.js";
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

export class PgBouncer implements AsyncDisposable {
  readonly name = "PgBouncer";
  readonly version: string;
  readonly port: number;
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #guardian: Guardian;

  private constructor(parts: { version: string; port: number; process: ChildProcess; folder: string }) {
    this.version = parts.version;
    this.port = parts.port;
    this.#process = parts.process;
    this.#folder = parts.folder;
    this.#guardian = guard('kill -KILL "$1"; rm -rf "$2"', String(parts.process.pid), parts.folder);
    opened(this);
  }

  static async start(program: string, server: string, options: PgBouncerOptions): Promise<PgBouncer> {
    const folder = await mkdtemp(join(tmpdir(), "leasehold-pgbouncer-"));
    const { uid, gid } = serverUser();
    if (uid !== undefined && gid !== undefined) await chown(folder, uid, gid);
    try {
      const { stdout } = await promisify(execFile)(program, ["--version"]);
      const version = /[\d.]+/.exec(stdout)?.[0] ?? "unknown";
      return await withFreePort(async (port) => {
        const tls = transport() === "tls" ? await prepareClientTls(folder) : {};
        const file = join(folder, "pgbouncer.ini");
        const users = join(folder, "users.txt");
        const roles = options.isForAnyRole ? rolesOfTheServer(users) : {};
        const settings = { ...tls, ...roles, ...options.settings };
        await writeFile(file, configuration(server, port, { ...options, settings }), { mode: 0o600 });
        const { username, password } = new URL(server);
        await writeFile(users, `"${decodeURIComponent(username)}" "${decodeURIComponent(password)}"\n`, {
          mode: 0o600,
        });
        if (uid !== undefined && gid !== undefined) for (const each of [file, users]) await chown(each, uid, gid);
        const process = spawn(program, [file], {
          ...serverUser(),
          cwd: folder,
          stdio: ["ignore", "ignore", "pipe"],
          detached: true,
        });
        await ready(process);
        return new PgBouncer({ version, port, process, folder });
      });
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** The same database, by way of this pooler, as the user that it was started with. */
  url(of: string): string {
    return changeUrl(of, { host: "127.0.0.1", port: this.port });
  }

  async dispose(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const exit = once(this.#process, "exit");
      this.#process.kill("SIGKILL");
      await exit;
    }
    await rm(this.#folder, { recursive: true, force: true });
    this.#guardian.release();
    closed(this);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

/** Starts PgBouncer in front of the server of this address; undefined where it is not installed. */
export async function startPgBouncer(server: string, options: PgBouncerOptions = {}): Promise<PgBouncer | undefined> {
  const program = await findPgBouncer();
  return program === undefined ? undefined : PgBouncer.start(program, server, options);
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

function ready(process: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = "";
    const fail = () => {
      const code = /address already in use/i.test(output) ? "EADDRINUSE" : undefined;
      reject(Object.assign(new Error(`PgBouncer did not start:\n${output}`), { code }));
    };
    process.once("error", reject).once("exit", fail);
    process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      if (output.length < 100_000) output += text;
      if (output.includes("process up")) resolve();
    });
  });
}
