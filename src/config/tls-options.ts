import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import type { ConnectionOptions as TlsOptions } from "node:tls";
import type { ConnectionOptions } from "../api/connection-options.js";
import { InvalidOptionError } from "../errors/errors.js";
import type { Environment, Hosts } from "./hosts.js";

/** The TLS parameters of an address, as libpq, Prisma and node-postgres name them. */
export const tlsParameters = [
  "sslmode",
  "ssl",
  "sslrootcert",
  "sslcert",
  "sslkey",
  "sslpassword",
  "sslaccept",
  "ssl_min_protocol_version",
  "ssl_max_protocol_version",
] as const;

export type TlsParameters = { readonly [Name in (typeof tlsParameters)[number]]?: string };

const modes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;
type Mode = (typeof modes)[number];

/**
 * Translates the parameters into what postgres.js accepts, with the meaning that libpq gives them:
 * - `require` encrypts and verifies nothing, but with `sslrootcert` it verifies the certificate, like `verify-ca`;
 * - `verify-ca` without a root certificate also verifies the name, so that it is not weaker than with one;
 * - `allow` is treated as `prefer`, which connects to the same servers;
 * - no parameter at all means no TLS, as in postgres.js.
 */
export function tlsOptions(
  given: TlsParameters,
  option: string,
  hosts: Hosts["hosts"],
  env: Environment,
): NonNullable<ConnectionOptions["ssl"]> {
  const isModeGiven = [given.sslmode, given.ssl, given.sslaccept].some((value) => value !== undefined);
  const parameters = isModeGiven || !env.PGSSLMODE ? given : { ...given, sslmode: env.PGSSLMODE };
  const { sslrootcert, sslcert, sslkey, sslpassword } = parameters;
  const read = (name: keyof TlsParameters): string => readPem(option, name, parameters[name] ?? "");
  const mode = tlsMode(parameters, option);
  if (mode === "disable") return false;

  const tls: TlsOptions = {};
  if (sslrootcert !== undefined && sslrootcert !== "system") tls.ca = read("sslrootcert");
  if (sslcert !== undefined && sslkey === undefined) {
    // For Prisma this is the server's root certificate, for libpq the client's own.
    if (parameters.sslaccept === undefined) throw refuse(option, "sslcert", "to stand beside sslkey");
    tls.ca = read("sslcert");
  } else if (sslcert !== undefined) {
    tls.cert = read("sslcert");
  }
  if (sslkey !== undefined) {
    if (sslcert === undefined) throw refuse(option, "sslkey", "to stand beside sslcert");
    tls.key = read("sslkey");
  }
  if (sslpassword !== undefined) tls.passphrase = sslpassword;
  Object.assign(tls, protocolVersions(parameters, option));

  const isVerified =
    mode === "verify-ca" || mode === "verify-full" || (mode === "require" && sslrootcert !== undefined);
  if (!isVerified) {
    if (Object.keys(tls).length === 0) return mode === "require" ? "require" : "prefer";
    return { ...tls, rejectUnauthorized: false };
  }
  const isNameVerified = mode === "verify-full" || tls.ca === undefined;
  if (!isNameVerified) return { ...tls, rejectUnauthorized: true, checkServerIdentity: () => undefined };
  // postgres.js passes on a host name but not an IP address. Without one, Node compares the certificate with "localhost".
  const [only, ...others] = hosts;
  const address = only !== undefined && others.length === 0 && isIP(only.host) !== 0 ? { host: only.host } : {};
  return { ...tls, ...address, rejectUnauthorized: true };
}

function tlsMode(parameters: TlsParameters, option: string): Mode {
  const { sslmode, ssl, sslaccept, sslrootcert } = parameters;
  const written = sslmode ?? (ssl === undefined ? undefined : sslFlag(ssl));
  const mode = written === "no-verify" ? "require" : modes.find((one) => one === written);
  if (written !== undefined && mode === undefined)
    throw refuse(option, sslmode === undefined ? "ssl" : "sslmode", modes.join(", "));
  if (mode === "disable") return mode;
  if (sslaccept !== undefined) {
    if (sslaccept === "strict") return "verify-full";
    if (sslaccept !== "accept_invalid_certs") throw refuse(option, "sslaccept", "strict or accept_invalid_certs");
    return mode ?? "require";
  }
  if (sslrootcert === "system") {
    const isWeak = mode !== undefined && mode !== "verify-full";
    if (isWeak) throw refuse(option, "sslmode", "verify-full, the only one that goes with sslrootcert=system");
    return "verify-full";
  }
  return mode ?? modeByDefault(parameters);
}

/** Any TLS parameter means that TLS is wanted. */
function modeByDefault(parameters: TlsParameters): Mode {
  if (parameters.sslrootcert !== undefined) return "verify-ca";
  return Object.keys(parameters).length === 0 ? "disable" : "require";
}

/** The parameter `ssl` of node-postgres and postgres.js, as an sslmode. */
function sslFlag(ssl: string): string {
  if (ssl === "true" || ssl === "1") return "require";
  if (ssl === "false" || ssl === "0") return "disable";
  return ssl;
}

function protocolVersions(parameters: TlsParameters, option: string): Pick<TlsOptions, "minVersion" | "maxVersion"> {
  const version = (name: keyof TlsParameters) => {
    const value = parameters[name];
    const known = (["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] as const).find((one) => one === value);
    if (value !== undefined && known === undefined) throw refuse(option, name, "TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3");
    return known;
  };
  const minVersion = version("ssl_min_protocol_version");
  const maxVersion = version("ssl_max_protocol_version");
  return { ...(minVersion === undefined ? {} : { minVersion }), ...(maxVersion === undefined ? {} : { maxVersion }) };
}

function readPem(option: string, name: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? ` (${String(cause.code)})` : "";
    throw new InvalidOptionError({
      option,
      expected: `${name} to be a file that can be read`,
      received: path,
      message: `${option}: parameter ${name}: expected a file that can be read, got ${JSON.stringify(path)}${code}`,
      cause,
    });
  }
}

function refuse(option: string, parameter: string, expected: string): InvalidOptionError {
  return new InvalidOptionError({
    option,
    expected: `${parameter}: ${expected}`,
    received: undefined,
    message: `${option}: parameter ${parameter}: expected ${expected}`,
  });
}
