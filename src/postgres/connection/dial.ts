import { type LookupAddress, type LookupAllOptions, type LookupOptions, lookup } from "node:dns";
import net from "node:net";
import tls from "node:tls";
import type { ConnectionTarget } from "../../config/connection-url.js";
import { describeType } from "../../runtime/describe.js";

export type Host = { readonly host: string; readonly port: number } | null;

/** The server does not have the certificate that the address demands. Retrying does not help. */
export class NotTrusted extends Error {
  readonly code = "NOT_TRUSTED";

  constructor(cause: Error) {
    super(`the server's certificate is not accepted: ${cause.message}`, { cause });
  }
}

/** The address demands TLS, and the server has none. Retrying does not help. */
export class NoTls extends Error {
  readonly code = "NOT_TRUSTED";
}

const SSL_REQUEST = Uint8Array.of(0, 0, 0, 8, 4, 210, 22, 47);

/**
 * Connects a socket, ready for the start-up message. `host` is null for a unix socket. An abort destroys it at any
 * time.
 * @throws errors of the network, TLS or a certificate, or the reason of the abort
 */
export async function dial(
  target: ConnectionTarget,
  host: Host,
  {
    signal,
    keepAliveMs,
    keepsProcess,
  }: { readonly signal: AbortSignal; readonly keepAliveMs: number; readonly keepsProcess: boolean },
): Promise<net.Socket> {
  signal.throwIfAborted();
  const raw =
    host === null
      ? net.connect(target.path ?? "")
      : net.connect({ host: host.host, port: host.port, lookup: lookupOnce });
  let socket: net.Socket = raw;
  const cut = (): void => {
    socket.destroy();
  };
  if (!keepsProcess) {
    raw.unref();
  }
  // Never removed: an error may occur at any time, even when nobody waits for one.
  raw.on("error", () => undefined);
  signal.addEventListener("abort", cut, { once: true });
  try {
    await next(raw, "connect", signal);
    if (!keepsProcess) {
      raw.unref(); // again: Node makes another handle for the second address of a name
    }
    raw.setNoDelay(true);
    raw.setKeepAlive(true, keepAliveMs);
    if (target.ssl !== false && (await isTlsAccepted(raw, target, signal))) {
      // Throws if a certificate or key is invalid.
      const secure = tls.connect({ ...tlsOptionsOf(target, host), socket: raw });
      socket = secure;
      secure.on("error", () => undefined);
      await next(secure, "secureConnect", signal).catch((error: Error) => {
        throw !signal.aborted && isNotTrusted(secure, error) ? new NotTrusted(error) : error;
      });
    }
    return socket;
  } catch (error) {
    cut();
    throw error;
  } finally {
    signal.removeEventListener("abort", cut);
  }
}

function isNotTrusted(socket: tls.TLSSocket, error: NodeJS.ErrnoException): boolean {
  // Deno leaves `authorizationError` empty, and has only the code: OpenSSL's names for what can be wrong with a certificate.
  return Boolean(socket.authorizationError) || certificateErrors.test(error.code ?? "");
}

const certificateErrors =
  /^(CERT_|CRL_|DEPTH_ZERO_|ERROR_IN_C|ERR_TLS_CERT_ALTNAME_|HOSTNAME_MISMATCH|INVALID_(CA|PURPOSE)|SELF_SIGNED_|UNABLE_TO_)/;

type Looked = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void;

/** Those that are waited for, by what they ask. */
const lookups = new Map<string, Looked[]>();

/**
 * Looks a name up, and has whoever asks the same meanwhile wait for the same answer. A lookup cannot be cancelled, keeps the process
 * alive, and may take longer than an attempt to connect: with one for each attempt a process that is done would never end.
 */
export function lookupOnce(name: string, options: LookupOptions, callback: Looked): void {
  const asked = JSON.stringify([name, options]);
  const waiting = lookups.get(asked);
  if (waiting !== undefined) {
    waiting.push(callback);
    return;
  }
  const all = [callback];
  lookups.set(asked, all);
  lookup(name, options as LookupAllOptions, (...answer: Parameters<Looked>) => {
    lookups.delete(asked);
    for (const tell of all) {
      tell(...answer);
    }
  });
}

/** Asks the server whether it accepts TLS. The answer must be exactly one byte, see below. */
async function isTlsAccepted(
  raw: net.Socket,
  { ssl, sslnegotiation }: ConnectionTarget,
  signal: AbortSignal,
): Promise<boolean> {
  if (sslnegotiation === "direct") {
    return true;
  }
  // What comes after the answer is for TLS or the protocol.
  raw.once("data", () => raw.pause());
  raw.write(SSL_REQUEST);
  const answer = (await next(raw, "data", signal)) as Buffer;
  const letter = String.fromCharCode(answer[0] ?? 0);
  if (letter === "E") {
    throw new Error("the server answered the request for TLS with an error");
  }
  // CVE-2021-23222: bytes that an attacker slips in before the encryption would be taken for the server's.
  if (answer.length !== 1 || (letter !== "S" && letter !== "N")) {
    throw new Error("the server did not answer the request for TLS as Postgres does");
  }
  if (letter === "N" && ssl !== "prefer" && ssl !== "allow") {
    throw new NoTls("the server does not accept TLS, which the address demands");
  }
  return letter === "S";
}

/** The options that postgres.js uses, plus the IP address to compare with the certificate. Node would use "localhost". */
function tlsOptionsOf({ ssl, sslnegotiation }: ConnectionTarget, host: Host): tls.ConnectionOptions {
  const name = host?.host;
  return {
    ...(name === undefined ? {} : net.isIP(name) === 0 ? { servername: name } : { host: name }),
    ...(sslnegotiation === "direct" ? { ALPNProtocols: ["postgresql"] } : {}),
    ...(ssl === "require" || ssl === "prefer" || ssl === "allow" ? { rejectUnauthorized: false } : {}),
    ...(typeof ssl === "object" ? withSafeCheck(ssl) : {}),
  };
}

/** Node calls the user's function where nobody can catch its errors, and treats a promise as a refusal without a reason. */
function withSafeCheck(ssl: tls.ConnectionOptions): tls.ConnectionOptions {
  const { checkServerIdentity } = ssl;
  if (typeof checkServerIdentity !== "function") {
    return ssl;
  }
  const check = (name: string, certificate: tls.PeerCertificate): Error | undefined => {
    try {
      const refusal: unknown = checkServerIdentity(name, certificate);
      if (refusal instanceof Error) {
        return refusal;
      }
      if (!refusal) {
        return undefined;
      }
      Promise.resolve(refusal).catch(() => undefined);
      return new TypeError(`checkServerIdentity must return undefined or an Error, not ${describeType(refusal)}`);
    } catch (error) {
      return new Error("checkServerIdentity failed", { cause: error });
    }
  };
  return { ...ssl, checkServerIdentity: check };
}

/** Waits for an event. Rejects if the socket closes, even without an error (`once` of node:events would wait for ever). */
function next(socket: net.Socket, event: "connect" | "data" | "secureConnect", signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onEvent = (value: unknown): void => {
      takeOff();
      resolve(value);
    };
    const fail = (error: unknown): void => {
      takeOff();
      reject(error);
    };
    const onClose = (): void => fail(new Error("the connection was closed while connecting"));
    const onAbort = (): void => fail(signal.reason);
    const takeOff = (): void => {
      socket.off(event, onEvent).off("error", fail).off("close", onClose);
      signal.removeEventListener("abort", onAbort);
    };
    socket.on(event, onEvent).on("error", fail).on("close", onClose);
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) {
      onAbort();
    } else if (socket.destroyed) {
      onClose();
    }
  });
}
