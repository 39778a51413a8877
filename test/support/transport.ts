// How this run's tests reach Postgres: as it comes, or over TLS (the project "tls" of vitest.config.ts).
import { type Certificate, makeAuthority, makeCertificate } from "./certificate.js";

/** In the environment, so that the processes that a test starts have it, too. */
export const transportVariable = "LEASEHOLD_TEST_TRANSPORT";

export type Transport = "tcp" | "tls";

export function transport(): Transport {
  return process.env[transportVariable] === "tls" ? "tls" : "tcp";
}

/** What a server needs to speak TLS. */
export interface ServerTls {
  readonly certificate: Certificate;
  /** Only clients with a certificate of this authority may log in. */
  readonly clientAuthority?: Certificate;
  /** Clients may come without TLS, too. Default: they are refused, and so are seen. */
  readonly acceptsPlain?: boolean;
}

let usual: Promise<ServerTls> | undefined;

/** For servers whose certificate nobody looks at: `sslmode=require` encrypts, and verifies nothing. */
export function usualTls(): Promise<ServerTls> {
  usual ??= makeAuthority()
    .then((authority) => makeCertificate(authority, ["localhost", "127.0.0.1"]))
    .then((certificate) => ({ certificate }));
  return usual;
}
