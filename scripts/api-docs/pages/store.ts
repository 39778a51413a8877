/**
 * The entry `leasehold/store`: the port of a store of your own, and the stores that are not Postgres. [Stores](../guides/stores.md) explains it.
 *
 * @module store
 */
export * from "../../../src/store.js";
