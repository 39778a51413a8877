/**
 * The entry `leasehold/testing`: a locker for tests, and the tests of a store. [Testing](../guides/testing.md) shows them.
 *
 * @module testing
 */
export * from "../../../src/testing.js";
