import { trace } from "@opentelemetry/api";
import { instrumentLeasehold, type TelemetryOptions } from "leasehold/otel";

const options: TelemetryOptions = { keyNames: /^report:/, tracerProvider: trace.getTracerProvider() };
export const stop: () => void = instrumentLeasehold(options);
