// Every statement runs on connections that are not ours alone, too, under any search_path: whoever may create an operator or a function
// in a schema of that path must not get a statement of ours to use it. So whatever a path could lead elsewhere names its schema
// (test/trust/lint.ts has the rules). Each statement has one text, by which a prepared statement is known.

/**
 * Times travel as float8. A role's default of extra_float_digits would round them, by minutes at worst, so each statement sets it for its
 * own transaction: a pooled connection keeps nothing of it. That costs no more than 10 us.
 */
export const EXACT_TIMES: string = "pg_catalog.set_config('extra_float_digits', '1', true)";

/** An instant, as times travel: milliseconds since 1970. `numeric * integer` of pg_catalog does not exist: whoever has one in `public` would be called. */
export function milliseconds(instant: string): string {
  return `(extract(epoch from ${instant}) operator(pg_catalog.*) 1000::numeric)::double precision`;
}
