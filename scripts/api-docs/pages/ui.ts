/**
 * The entry `leasehold/ui`: a page that shows who holds what and who waits for it, to mount in an application, and metrics for Prometheus.
 * [The guide](../guides/inspector.md) has examples for each framework.
 *
 * @module ui
 */
export * from "../../../src/ui.js";
