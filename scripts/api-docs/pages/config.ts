/**
 * The entry `leasehold/config`: the options of a locker from a file or from the environment. [Configuration](../guides/configuration.md) has the names and what
 * they are written as.
 *
 * @module config
 */
export * from "../../../src/config.js";
