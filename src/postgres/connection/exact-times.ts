// Every statement may run on connections that are not ours alone, under any search_path. A role that can create an
// operator or a function in a schema of that path must not get our statements to use it (rule 11). So each text names
// the schema of everything that a path could lead elsewhere (test/trust/lint.ts has the rules). Each statement has one
// text, which identifies its prepared statement.

/**
 * Times travel as float8. A role's default of extra_float_digits could round them, by minutes at worst. So each
 * statement sets it, for its own transaction only: nothing stays on a pooled connection. That costs at most 10 us.
 */
export const EXACT_TIMES: string = "pg_catalog.set_config('extra_float_digits', '1', true)";

/** The text for a connection that has the setting for as long as it lives. */
export function withoutExactTimes(text: string): string {
  return text.replace(`, ${EXACT_TIMES}`, "");
}

/**
 * An instant as times travel: milliseconds since 1970. pg_catalog has no `numeric * integer`, so an operator of that
 * name in `public` would be called (rule 11).
 */
export function milliseconds(instant: string): string {
  return `(extract(epoch from ${instant}) operator(pg_catalog.*) 1000::numeric)::double precision`;
}
