import type { Store } from "../api/store.js";
import { UnsupportedError } from "../errors/errors.js";
import { quote } from "../runtime/describe.js";

/** What is said of a store without the method. */
const lacks = {
  adopt: "does not let locks be handed over",
  checkFence: "keeps no marks of resources",
  forceRelease: "cannot take locks from their holders",
} as const;

/** A method that a store need not have. @throws UnsupportedError */
export function optional<Name extends keyof typeof lacks>(store: Store, name: Name): NonNullable<Store[Name]> {
  const method = store[name];
  if (method === undefined) {
    throw unsupported(store, lacks[name]);
  }
  return method.bind(store) as NonNullable<Store[Name]>;
}

export function unsupported(store: Store, what: string): UnsupportedError {
  return new UnsupportedError({ message: `${nameOf(store)} ${what}.` });
}

export function nameOf({ name }: Store): string {
  return `The store ${quote(name)}`;
}
