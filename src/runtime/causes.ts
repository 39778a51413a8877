/** More than any library nests; and a cause may lead back to its error. */
const DEEPEST = 10;

/** An error, then its cause, the cause of that, and so on. Of several errors at once (one for each address of a name) the first counts. */
export function* causesOf(error: unknown): Generator<unknown> {
  for (let at = error, depth = 0; at !== undefined && depth <= DEEPEST; depth += 1) {
    yield at;
    const { cause, errors } = (at ?? {}) as { readonly cause?: unknown; readonly errors?: unknown };
    at = Array.isArray(errors) && errors.length > 0 ? errors[0] : cause;
  }
}
