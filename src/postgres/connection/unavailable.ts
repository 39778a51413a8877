import { UnavailableError, UnsafeBackendError } from "../../errors/errors.js";
import { causesOf } from "../../runtime/causes.js";
import { quote } from "../../runtime/describe.js";
import { RequestTimeout } from "../../runtime/timeout.js";
import { NoTls, NotTrusted } from "./dial.js";
import { failedAt, othersOf } from "./failed-at.js";
import { FunctionFailed, SessionLost } from "./link-closed.js";

/** Codes of Node for what keeps a connection from being made, in words. */
const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ENOTFOUND: "the name is not known",
  EAI_AGAIN: "the name server does not answer",
  ENOENT: "there is no such socket",
  ETIMEDOUT: "it does not answer",
  EHOSTUNREACH: "there is no route to it",
  ENETUNREACH: "there is no route to it",
  ECONNRESET: "the connection was reset",
  EPIPE: "the connection was reset",
};

/** What a user is told about an error of the network, the driver or our own connection. `wasSent`: whether a statement may have reached the server. */
export function toUnavailable(error: unknown, wasSent: boolean): UnavailableError {
  const address = failedAt(error);
  const at = address === null ? "" : ` at ${address}`;
  const reason = reasonOf(error);
  if (error instanceof SessionLost) {
    const message = `The session's connection to Postgres${at} was lost: ${reason}. It reconnects by itself, and proves what is held then.`;
    return new UnavailableError({ outcome: "not-sent", address, message, cause: error });
  }
  if (error instanceof Error && "code" in error && error.code === "CLIENT_ENDED") {
    const message = `The given client was ended, so nothing was sent: ${error.message}. Give the locker a client that lives as long as it does.`;
    return new UnavailableError({ outcome: "not-sent", address, message, cause: error });
  }
  if (!wasSent) {
    const message = `Postgres${at} could not be reached: ${reason}.${ofOthers(error)} Nothing was sent. Check that it runs and that the address is right, then try again.`;
    return new UnavailableError({ outcome: "not-sent", address, message, cause: error });
  }
  if (error instanceof RequestTimeout) {
    return new UnavailableError({ outcome: "unknown", address, message: unansweredText(address), cause: error });
  }
  const message = `The connection to Postgres${at} ended before the answer came: ${reason}. The request may or may not have taken effect.`;
  return new UnavailableError({ outcome: "unknown", address, message, cause: error });
}

/** `inTheWay`: what the request waits for, if that is known. */
export function unansweredText(address: string | null, inTheWay: string | null = null): string {
  const at = address === null ? "" : ` at ${address}`;
  const advice = inTheWay === null ? "Check that Postgres can be reached, then try again." : `${inTheWay}.`;
  return `Postgres${at} did not answer in time; the request may or may not have taken effect. ${advice}`;
}

/** Of an address with several hosts: why each of the others was of no use. A sentence for each, after a space. */
export function ofOthers(error: unknown): string {
  return othersOf(error)
    .map(
      (other) =>
        ` ${failedAt(other) ?? "Another host"}: ${other instanceof UnsafeBackendError ? other.problem : reasonOf(other)}.`,
    )
    .join("");
}

/** The innermost error says most. */
function reasonOf(error: unknown): string {
  const innermost = [...causesOf(error)].filter((at) => typeof at === "object" && at !== null).at(-1) ?? {};
  if (innermost instanceof RequestTimeout) {
    return "no answer in time";
  }
  const { code, message } = innermost as { readonly code?: unknown; readonly message?: unknown };
  const coded = typeof code === "string" ? ` (${code})` : "";
  const inWords = typeof code === "string" ? reasons[code] : undefined;
  if (inWords !== undefined) {
    const name = (innermost as { readonly hostname?: unknown }).hostname;
    return `${inWords}${typeof name === "string" ? `: ${quote(name)}` : ""}${coded}`;
  }
  const text = typeof message === "string" && message !== "" ? message : "the connection was closed";
  const outer = failedFunction(error);
  return `${outer === null ? "" : `${outer}: `}${text.replace(/\.$/, "")}${text.includes(String(code)) ? "" : coded}`;
}

/** A function of the user's that failed: its error alone would not tell that it is about a password, say. */
function failedFunction(error: unknown): string | null {
  for (const at of causesOf(error)) {
    if (at instanceof FunctionFailed && at.cause !== undefined) {
      return at.message;
    }
  }
  return null;
}

/** The error about TLS or the server's certificate, if that is why the connection failed. */
export function notTrusted(error: unknown): NotTrusted | NoTls | null {
  for (const at of causesOf(error)) {
    if (at instanceof NotTrusted || at instanceof NoTls) {
      return at;
    }
  }
  return null;
}
