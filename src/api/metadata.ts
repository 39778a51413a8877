/** What JSON can say: null, booleans, finite numbers, strings, arrays and plain objects of these. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
/** A plain object of JSON values. A property that is undefined counts as left out. */
export interface JsonObject {
  readonly [name: string]: JsonValue | undefined;
}
