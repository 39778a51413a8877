// How long a call may take: what the documentation promises (docs/reference/guarantees.md: every call settles).
import type { CampaignWorkerArgs } from "./arguments.js";

/** A call that waits for nothing: one that tries, asks, renews or releases. */
export function boundOf({ requestTimeoutMs }: CampaignWorkerArgs): number {
  return requestTimeoutMs;
}

export function boundOfWait({ requestTimeoutMs }: CampaignWorkerArgs, waitMs: number): number {
  return waitMs + requestTimeoutMs;
}

/** With a strategy that gives up: each try may take as long as a request. */
export function boundOfRetries({ requestTimeoutMs }: CampaignWorkerArgs, delaysMs: readonly number[]): number {
  return delaysMs.reduce((sum, ms) => sum + ms, 0) + (delaysMs.length + 1) * requestTimeoutMs;
}

/** It waits for what was asked about the lock before: a renewal, and an attempt whose answer was lost. */
export function boundOfDetach({ requestTimeoutMs }: CampaignWorkerArgs): number {
  return 3.1 * requestTimeoutMs;
}

/** The last words of locks and waits, and a connection for them. */
export function boundOfClose({ requestTimeoutMs }: CampaignWorkerArgs, drainMs: number): number {
  return drainMs + 1.1 * requestTimeoutMs + 500;
}

/** How long a statement of the worker's own pools may take: their option. */
export function statementTimeoutMs({ requestTimeoutMs }: CampaignWorkerArgs): number {
  return requestTimeoutMs + 500;
}

/** A connection, a guard that asks who has the key when it is refused, so many statements, an end, and what it sleeps. */
export function boundOfTransaction(args: CampaignWorkerArgs, statements: number, sleepsMs: number): number {
  return args.connectTimeoutMs + args.requestTimeoutMs + (statements + 3) * statementTimeoutMs(args) + sleepsMs;
}
