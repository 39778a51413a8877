import { InvalidOptionError } from "../errors/errors.js";
import { decode } from "./percent-encoding.js";

/** libpq's variables, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The servers to try, in order, or one unix socket. */
export interface Hosts {
  /** Empty exactly when `path` is given. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  /** The full path of a unix socket, or null. */
  readonly path: string | null;
}

/** Overrides the hosts of the address, or their ports. */
interface Instead {
  readonly host?: string;
  readonly port?: string | number;
  readonly path?: string;
}

/** Reads `host:port,host:port`. Missing parts come from PGHOST and PGPORT. */
export function readHosts(list: string, instead: Instead, option: string, env: Environment): Hosts {
  if (instead.path !== undefined) return { hosts: [], path: instead.path };
  const written = list.split(",").map((text) => readHost(text, option));
  const names = instead.host?.split(",") ?? written.map(({ host }) => host);
  const ports = instead.port?.toString().split(",") ?? written.map(({ port }) => port);
  const isMissing = names.length === 1 && names[0] === "";
  const hosts = (isMissing ? (env.PGHOST || "localhost").split(",") : names).map((name) => name || "localhost");
  const defaultPorts = (env.PGPORT || "5432").split(",");
  if (ports.length !== 1 && ports.length !== hosts.length) {
    throw refuse(option, "one port, or as many as there are hosts");
  }
  const pairs = hosts.map((host, index) => {
    const port = ports[ports.length === 1 ? 0 : index] || defaultPorts[defaultPorts.length === 1 ? 0 : index] || "";
    return { host, port: readPort(port, option) };
  });
  const socket = pairs.find(({ host }) => host.startsWith("/"));
  if (socket === undefined) return { hosts: pairs, path: null };
  if (pairs.length > 1) throw refuse(option, "a unix socket to be the only host");
  const isWhole = /\/\.s\.PGSQL\.\d+$/.test(socket.host);
  return { hosts: [], path: isWhole ? socket.host : `${socket.host.replace(/\/+$/, "")}/.s.PGSQL.${socket.port}` };
}

/** `name`, `name:port`, `[IPv6]:port`, or the percent-encoded folder of a socket. */
function readHost(text: string, option: string): { host: string; port: string } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::([^:]*))?$/.exec(text);
  if (match === null) throw refuse(option, "hosts of the form name:port or [IPv6 address]:port");
  const [, ipv6, name = "", port = ""] = match;
  return { host: decode(ipv6 ?? name, option), port };
}

function readPort(text: string, option: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw refuse(option, "ports of 1 to 65535");
}

/** The usual cause is a special character in the password. Show none of the text, since it could be the password. */
function refuse(option: string, expected: string): InvalidOptionError {
  const encoding = "in user and password, special characters such as / ? @ : % must be percent-encoded";
  const message = `${option}: expected ${expected} (${encoding})`;
  return new InvalidOptionError({ option, expected, received: undefined, message });
}
