// Pgpool-II in front of a primary and its standby: a session keeps its server connection on the primary, and statements that only read
// may go to the standby.
import { join } from "node:path";
import { findProgram } from "./find-program.js";
import { PoolerFolder, PoolerProcess, type PoolerProgram } from "./pooler-process.js";
import type { Settings } from "./settings.js";

/** Where reading statements go: one place for a session, or a place for each statement. `off`: to the primary. */
export type LoadBalance = "session" | "statement" | "off";

export interface PgpoolOptions {
  /** Default: session, which is Pgpool's own default. */
  readonly loadBalance?: LoadBalance;
  /** More of pgpool.conf's settings. */
  readonly settings?: Settings;
}

export interface PgpoolServers {
  readonly primary: string;
  /** Without one there is nothing to balance. */
  readonly standby?: string;
}

/** Starts Pgpool-II in front of these servers; undefined where it is not installed, which is said loudly. */
export async function startPgpool(
  servers: PgpoolServers,
  options: PgpoolOptions = {},
): Promise<PoolerProcess | undefined> {
  const path = await findProgram("pgpool");
  if (path === undefined) {
    console.warn("\n!!! PGPOOL-II IS NOT INSTALLED: its tests do NOT run. Debian: apt-get install pgpool2 !!!\n");
    return undefined;
  }
  const program: PoolerProgram = {
    name: "Pgpool-II",
    path,
    version: /version ([\d.]+)/,
    // it has found out which server is the primary
    isReady: (output) =>
      /pgpool-II successfully started/.test(output) && /find_primary_node: primary node is/.test(output),
    end: (process) => process.kill("SIGINT"), // it ends its children
    endScript: 'kill -INT "$1"; sleep 1; kill -KILL "-$1"',
    configure: (folder, port) => configure(folder, port, servers, options),
  };
  return PoolerProcess.start(program, await PoolerFolder.make("pgpool"));
}

async function configure(
  folder: PoolerFolder,
  port: number,
  servers: PgpoolServers,
  options: PgpoolOptions,
): Promise<readonly string[]> {
  const { username, password } = new URL(servers.primary);
  await folder.write("pool_passwd", `${decodeURIComponent(username)}:TEXT${decodeURIComponent(password)}\n`);
  const pcp = await folder.write("pcp.conf", "");
  const hba = await folder.write("pool_hba.conf", "");
  const file = await folder.write("pgpool.conf", configuration(servers, port, folder.path, options));
  return ["-n", "-f", file, "-F", pcp, "-a", hba];
}

function configuration(servers: PgpoolServers, port: number, folder: string, options: PgpoolOptions): string {
  const { primary, standby } = servers;
  const backends = [primary, ...(standby === undefined ? [] : [standby])].map((url) => new URL(url));
  const { username, password } = new URL(primary);
  const { loadBalance = "session" } = options;
  const settings: Settings = {
    backend_clustering_mode: "streaming_replication",
    listen_addresses: "127.0.0.1",
    port,
    socket_dir: folder,
    pcp_listen_addresses: "",
    pcp_socket_dir: folder,
    pid_file_name: join(folder, "pgpool.pid"),
    logdir: folder,
    work_dir: folder,
    ...Object.fromEntries(
      backends.flatMap(({ hostname, port }, index) => [
        [`backend_hostname${index}`, hostname],
        [`backend_port${index}`, Number(port || 5432)],
        // reads are for the standby, so that one which must not go there is found out
        [`backend_weight${index}`, backends.length > 1 && index === 0 ? 0 : 1],
        [`backend_flag${index}`, "DISALLOW_TO_FAILOVER"],
      ]),
    ),
    num_init_children: 64,
    max_pool: 2,
    sr_check_user: decodeURIComponent(username),
    sr_check_password: decodeURIComponent(password),
    failover_on_backend_error: false,
    load_balance_mode: loadBalance !== "off",
    statement_level_load_balance: loadBalance === "statement",
    ...options.settings,
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name} = ${typeof value === "boolean" ? (value ? "on" : "off") : `'${value}'`}\n`)
    .join("");
}
