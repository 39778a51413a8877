import type { StoreName } from "../api/options.js";
import type { StoreFactory } from "../api/store.js";
import { InvalidOptionError } from "../errors/errors.js";
import { checkFunction } from "../errors/option-checks.js";
import { quote } from "../runtime/describe.js";
import type { Environment } from "./hosts.js";

/** Those that come with the package. */
export const storeNames: readonly StoreName[] = ["postgres", "memory", "noop"];

/** The store that the option names, or the environment. @throws InvalidOptionError */
export function resolveStore(store: unknown, stores: unknown, env: Environment): StoreName | StoreFactory {
  const named = checkStores(stores);
  if (typeof store === "function") {
    return store as StoreFactory;
  }
  const isGiven = store !== undefined;
  // An empty variable counts as none, as those of the address do.
  const name = isGiven ? store : env.LEASEHOLD_STORE || "postgres";
  const own = typeof name === "string" && Object.hasOwn(named, name) ? named[name] : undefined;
  const found = own ?? storeNames.find((one) => one === name);
  if (found === undefined) {
    const names = [...storeNames, ...Object.keys(named)].map(quote).join(", ");
    throw new InvalidOptionError({
      option: isGiven ? "store" : "LEASEHOLD_STORE",
      expected: `${names}, or the function that makes a store (names of your own go to the option stores)`,
      received: name,
    });
  }
  return found;
}

/** Stores of the user's own, by name. @throws InvalidOptionError */
export function checkStores(stores: unknown): Readonly<Record<string, StoreFactory>> {
  if (stores === undefined) {
    return {};
  }
  if (typeof stores !== "object" || stores === null || Array.isArray(stores)) {
    throw new InvalidOptionError({ option: "stores", expected: "an object of functions, by name", received: stores });
  }
  for (const [name, factory] of Object.entries(stores)) {
    checkFunction(`stores.${name}`, factory);
    if (storeNames.some((one) => one === name)) {
      const expected = `another name: ${quote(name)} is a store of this package`;
      throw new InvalidOptionError({ option: `stores.${name}`, expected, received: name });
    }
  }
  return stores as Readonly<Record<string, StoreFactory>>;
}
