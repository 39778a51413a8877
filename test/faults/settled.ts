// The one bound on time that tests of faults may have: that a call settles at all, by a generous multiple of its timeout.
export type Outcome<T> = { readonly value: T; readonly error?: undefined } | { readonly error: unknown };

/** How the call ended; throws when it has not within five times the locker's `requestTimeoutMs`. */
export async function settled<T>(call: Promise<T>, requestTimeoutMs: number): Promise<Outcome<T>> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`the call has not settled within 5 x ${requestTimeoutMs} ms`)),
      5 * requestTimeoutMs,
    );
  });
  const outcome = call.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  try {
    return await Promise.race([outcome, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}
