/** The connection is gone, and with it the answers to what was sent over it. */
export class LinkClosed extends Error {}

/** The connection was gone before the statement was sent: nothing can have happened. */
export class NeverSent extends LinkClosed {}

/** The session's connection died after it had been opened. The cause says why. */
export class SessionLost extends LinkClosed {}

/** A function that the user gave has failed, so that no connection could be made. The cause is what it threw. */
export class FunctionFailed extends LinkClosed {}

export function asLinkClosed(error: unknown): LinkClosed {
  if (error instanceof LinkClosed) {
    return error;
  }
  return new LinkClosed(error instanceof Error ? error.message : String(error), { cause: error });
}
