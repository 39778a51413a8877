/**
 * The entry `leasehold/drizzle`: fenced and guarded tables, conditions on a fence, and the views, in Drizzle's words.
 *
 * @module drizzle
 */
export * from "../../../src/drizzle.js";
