// The clients that tests look with: one connection, open from the start, no timers, not counted as a leak.
import { connect, type Socket } from "node:net";
import postgres from "postgres";

const sockets = new WeakSet<Socket>();

/** Whether a client of test support owns this socket. */
export function isOwnSocket(socket: Socket): boolean {
  return sockets.has(socket);
}

/** A connected postgres.js client of one connection, for looking in from outside. End it with `.end()`. */
export async function openClient(
  url: string,
  {
    onnotice = () => {},
    onSocket = () => {},
  }: { readonly onnotice?: (notice: postgres.Notice) => void; readonly onSocket?: (socket: Socket) => void } = {},
): Promise<postgres.Sql> {
  const { hostname, port } = new URL(url);
  const sql = postgres(url, {
    max: 1,
    max_lifetime: null,
    idle_timeout: 0,
    connect_timeout: 10,
    fetch_types: false,
    onnotice,
    connection: { application_name: "test support" },
    // may be handed over while it connects: what is written meanwhile waits in it
    socket: () => {
      const socket = connect(Number(port || 5432), hostname.replace(/^\[|\]$/g, "") || "127.0.0.1");
      sockets.add(socket);
      onSocket(socket);
      return socket;
    },
  } as postgres.Options<Record<string, never>>);
  try {
    await sql`select 1`;
    return sql;
  } catch (error) {
    await sql.end({ timeout: 0 });
    throw error;
  }
}

/** The same address with other parts. */
export function changeUrl(
  url: string,
  change: {
    host?: string;
    port?: number;
    database?: string;
    user?: string;
    password?: string;
    /** In place of all that it has. */
    parameters?: Readonly<Record<string, string>>;
  },
): string {
  const changed = new URL(url);
  if (change.host !== undefined) changed.hostname = change.host;
  if (change.port !== undefined) changed.port = String(change.port);
  if (change.database !== undefined) changed.pathname = `/${encodeURIComponent(change.database)}`;
  if (change.user !== undefined) changed.username = encodeURIComponent(change.user);
  if (change.password !== undefined) changed.password = encodeURIComponent(change.password);
  if (change.parameters !== undefined) changed.search = `${new URLSearchParams(change.parameters)}`;
  return changed.href;
}
