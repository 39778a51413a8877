import { type MeterProvider, metrics, type TracerProvider, trace } from "@opentelemetry/api";
import { InvalidOptionError } from "./errors/errors.js";
import { checkNames } from "./errors/option-checks.js";
import { attributesBy } from "./otel/attributes.js";
import { checkKeyNames, type KeyNames } from "./otel/key-names.js";
import { recordMetrics } from "./otel/metrics.js";
import { recordSpans } from "./otel/spans.js";
import { VERSION } from "./runtime/version.js";

export type { KeyNames } from "./otel/key-names.js";

/** Options of `instrumentLeasehold`. */
export interface TelemetryOptions {
  /**
   * Which keys are named in metrics and spans, as `leasehold.lock.key`. Each name is a time series of its own in every metric:
   * let there be few. Full keys, prefix included: those of a list, those that a regular expression matches, or what a
   * function returns for a key (null or undefined: no name). Default none.
   */
  readonly keyNames?: KeyNames | undefined;
  /** Default: the global one at the time of the call. */
  readonly meterProvider?: MeterProvider | undefined;
  /** Default: the global one. */
  readonly tracerProvider?: TracerProvider | undefined;
}

/**
 * Records what all lockers of this process do as OpenTelemetry metrics and spans, from now until the returned function is
 * called. Call it once, when the SDK has started.
 *
 * ```ts
 * import { instrumentLeasehold } from "leasehold/otel";
 *
 * const stop = instrumentLeasehold({ keyNames: (key) => key.split(":", 1)[0] });
 * ```
 * @throws {InvalidOptionError} for an option that cannot be used
 */
export function instrumentLeasehold(options: TelemetryOptions = {}): () => void {
  const given = checkNames("instrumentLeasehold's options", options, ["keyNames", "meterProvider", "tracerProvider"]);
  const attributesOf = attributesBy(checkKeyNames(given.keyNames));
  const meters = provider<MeterProvider>("meterProvider", given.meterProvider, "getMeter") ?? metrics;
  const tracers = provider<TracerProvider>("tracerProvider", given.tracerProvider, "getTracer") ?? trace;
  const stops = [
    recordMetrics(meters.getMeter("leasehold", VERSION), attributesOf),
    recordSpans(tracers.getTracer("leasehold", VERSION), attributesOf),
  ];
  return () => {
    for (const stop of stops.splice(0)) {
      stop();
    }
  };
}

function provider<Provider>(option: string, value: unknown, method: string): Provider | null {
  if (value === undefined) {
    return null;
  }
  if (typeof value === "object" && value !== null && typeof Reflect.get(value, method) === "function") {
    return value as Provider;
  }
  throw new InvalidOptionError({ option, expected: `an object with the method ${method}`, received: value });
}
