// Certificates for servers that speak TLS, made here because embedded Postgres brings no openssl.
import { writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { giveToServer } from "./server-binaries.js";
import type { Settings } from "./settings.js";

/** Loaded when it is needed: it takes longer to load than all the rest of what most processes of the tests load. */
const generator = async () => (await import("selfsigned")).generate;

/** Both as PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** A root certificate: what `sslrootcert` names. */
export async function makeAuthority(name = "Leasehold test authority"): Promise<Certificate> {
  const { cert, private: key } = await (await generator())([{ name: "commonName", value: name }], {
    keyType: "ec",
    algorithm: "sha256",
    extensions: [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  return { cert, key };
}

/** A certificate for a server or a client, signed by the authority, or by itself when that is null. `names`: host names and IP addresses; the first is its CN. */
export async function makeCertificate(
  authority: Certificate | null,
  names: readonly string[],
  { isExpired = false }: { readonly isExpired?: boolean } = {},
): Promise<Certificate> {
  const { cert, private: key } = await (await generator())([{ name: "commonName", value: names[0] ?? "localhost" }], {
    keyType: "ec",
    algorithm: "sha256",
    ...(authority === null ? {} : { ca: authority }),
    ...(isExpired ? { notBeforeDate: new Date("2001-01-01"), notAfterDate: new Date("2002-01-01") } : {}),
    extensions: [
      { name: "basicConstraints", cA: false, critical: true },
      { name: "keyUsage", digitalSignature: true, critical: true },
      { name: "extKeyUsage", serverAuth: true, clientAuth: true },
      {
        name: "subjectAltName",
        altNames: names.map((name) => (isIP(name) === 0 ? { type: 2, value: name } : { type: 7, ip: name })),
      },
    ],
  });
  return { cert, key };
}

/** Writes it where a cluster's server may read it. Returns the settings that make the server speak TLS with it. */
export async function tlsSettings(folder: string, { cert, key }: Certificate): Promise<Settings> {
  const write = async (name: string, text: string): Promise<string> => {
    const file = join(folder, name);
    await writeFile(file, text, { mode: 0o600 });
    await giveToServer(file);
    return file;
  };
  return { ssl: "on", ssl_cert_file: await write("server.crt", cert), ssl_key_file: await write("server.key", key) };
}
