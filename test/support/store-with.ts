import type { Store } from "../../src/api/store.js";

/** A store that does what another one does, but for these members; `undefined` takes an optional one away. */
export function storeWith(store: Store, members: { readonly [Name in keyof Store]?: Store[Name] | undefined }): Store {
  return new Proxy(store, {
    get(target, name) {
      const member = Reflect.get(name in members ? members : target, name) as unknown;
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}
