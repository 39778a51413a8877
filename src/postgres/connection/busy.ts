import { UnavailableError } from "../../errors/errors.js";

/**
 * How long a statement may wait for a connection of the client. Less than for its answer: the error that says why should come
 * before the caller's own time is up.
 */
export function untilBusyMs(timeoutMs: number): number {
  return timeoutMs * 0.8;
}

interface Busy {
  readonly connections: number;
  readonly ms: number;
  readonly outcome: UnavailableError["outcome"];
  readonly cause?: unknown;
}

/** No connection was free in time. That may pass. */
export function allBusy({ connections, ms, outcome, cause }: Busy): UnavailableError {
  const all =
    connections === 1
      ? "its only one was busy, or could not be made"
      : `all ${connections} were busy, or could not be made`;
  const fate = outcome === "not-sent" ? "Nothing was sent." : "It may still be sent when one is free.";
  return new UnavailableError({
    outcome,
    message: `The given client had no free connection for ${Math.round(ms)} ms: ${all}. ${fate} If Postgres can be reached, the client's pool is exhausted: give it more connections (max), keep its transactions short, and call the locker outside of them.`,
    cause,
  });
}
