/**
 * The entry `leasehold/otel`: what lockers do, as OpenTelemetry metrics and spans.
 *
 * @module otel
 */
export * from "../../../src/otel.js";
