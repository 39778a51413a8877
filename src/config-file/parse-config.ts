import type { LockerOptions } from "../api/options.js";
import type { StoreFactory } from "../api/store.js";
import { checkStores } from "../config/resolve-store.js";
import { checkNames } from "../errors/option-checks.js";
import { configOptions } from "./options.js";
import { readOptions } from "./table.js";

/** Options of `parseConfig` and `configFromEnv`. */
export interface ConfigOptions {
  /** Stores of your own that `store` may name. They come along as the option `stores`. Default none. */
  readonly stores?: { readonly [name: string]: StoreFactory } | undefined;
}

/**
 * The options of a locker from a plain object, as a file of JSON, YAML or TOML gives it. They have their own names there. A duration is text
 * such as `"30s"`, `"1m30s"`, `"500ms"` or `"Infinity"`, or a number of milliseconds. `$schema` has no effect.
 *
 * Each value is checked by itself. What has to go together is checked by `createLocker`, so that you can put other options beside these.
 *
 * ```ts
 * import { parseConfig } from "leasehold/config";
 *
 * const file = JSON.parse('{ "ttlMs": "10s", "waitMs": "1m30s", "prefix": "shop:" }');
 * const locker = createLocker({ ...parseConfig(file), onError: console.error });
 * ```
 * @throws {InvalidOptionError} which names the value by its path, such as `connection.port`, what was expected and what came
 */
export function parseConfig(value: unknown, options: ConfigOptions = {}): LockerOptions {
  const { stores } = checkConfigOptions("parseConfig's options", options);
  const { $schema, ...read } = readOptions(configOptions, value, "", { stores: stores ?? {} });
  return stores === undefined ? read : { ...read, stores };
}

/** `what` names them in the error. */
export function checkConfigOptions(what: string, options: unknown): ConfigOptions {
  const { stores } = checkNames(what, options, ["stores"]);
  return stores === undefined ? {} : { stores: checkStores(stores) };
}
