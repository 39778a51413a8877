/**
 * Lets postgres.js send a statement together with its parameters. By itself it first asks the server for their types, to
 * choose how to write each: a round trip more for a text that is new to the connection, and for each call of one that is not
 * prepared. Ours are text already.
 *
 * `describeFirst` is what its connection (3.4.9) goes by, and no part of its API: a version that does not know it asks again,
 * which is slower and no less right.
 */
export function inOneTrip<Query extends object>(query: Query): Query {
  return Object.defineProperty(query, "describeFirst", { get: () => false, set: () => undefined });
}
