import type { JsonObject } from "../api/metadata.js";
import type { StoreFactory } from "../api/store.js";

/** One kind of values in a configuration: how it is written there, and what a locker gets. */
export interface Kind<Value> {
  /** JSON Schema of what `read` takes. Where a schema cannot say all of it, it takes more than `read` does, never less. */
  readonly schema: JsonObject;
  /** The value for the locker. @throws InvalidOptionError, which names the path */
  read(value: unknown, path: string, context: Context): Value;
  /** What the text of an environment variable stands for, before it is read. Without it: the text itself. */
  readonly fromText?: (text: string, variable: string) => unknown;
}

/** What a configuration may refer to. */
export interface Context {
  /** Stores of the user's own. */
  readonly stores: { readonly [name: string]: StoreFactory };
}

/** One option that can stand in a configuration. */
export interface Entry<Value> {
  readonly kind: Kind<Value>;
  /** One sentence, with its default. */
  readonly about: string;
}

/** One option that cannot, with the reason. */
export interface Excluded {
  readonly excluded: string;
}

/** Says of every option of an object what a configuration can have for it. The compiler notices a missing one. */
export type Table<Options> = {
  readonly [Name in keyof Options]-?: Entry<Exclude<Options[Name], undefined>> | Excluded;
};
