import {
  type Attributes,
  context,
  type Exception,
  type Span,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { LeaseholdError } from "../errors/errors.js";
import type { AcquireTrace, Trace, WithLockTrace } from "../observe/hooks/messages.js";
import type { AttributesOf, Subject } from "./attributes.js";
import { errorType } from "./error-type.js";
import { Subscriptions } from "./subscriptions.js";

/** Records until the returned function is called, which ends all open spans. */
export function recordSpans(tracer: Tracer, attributesOf: AttributesOf): () => void {
  const subscriptions = new Subscriptions();
  const spans = new Map<object, Span>();
  const record = <Operation extends AcquireTrace | WithLockTrace>(
    channel: string,
    name: string,
    subjectOf: (operation: Operation) => Subject,
    outcomeOf: (result: NonNullable<Operation["result"]>) => Attributes,
  ): void => {
    subscriptions.on<Operation>(`tracing:${channel}:start`, (operation) => {
      const span = tracer.startSpan(name, { attributes: attributesOf(subjectOf(operation)) });
      spans.set(operation, span);
      runInside(operation, span);
    });
    subscriptions.on<Operation>(`tracing:${channel}:error`, (operation) => {
      const span = spans.get(operation);
      if (span !== undefined) {
        fail(span, operation.error);
      }
    });
    subscriptions.on<Operation>(`tracing:${channel}:asyncEnd`, (operation) => {
      if (operation.result !== undefined) {
        spans.get(operation)?.setAttributes(outcomeOf(operation.result));
      }
      spans.get(operation)?.end();
      spans.delete(operation);
    });
  };
  record<WithLockTrace>(
    "leasehold:with-lock",
    "leasehold.with_lock",
    ({ keys, instance }) => ({ key: keys[0] ?? "", instance }),
    ({ isAcquired }) => ({ "leasehold.acquire.outcome": isAcquired ? "granted" : "held" }),
  );
  record<AcquireTrace>(
    "leasehold:acquire",
    "leasehold.acquire",
    (operation) => operation,
    ({ outcome }) => ({ "leasehold.acquire.outcome": outcome }),
  );
  return () => {
    subscriptions.stop();
    for (const span of spans.values()) {
      span.end();
    }
    spans.clear();
  };
}

/** What the operation does, its body included, has this span as its parent. */
function runInside(operation: Trace, span: Span): void {
  const inside = trace.setSpan(context.active(), span);
  const { runIn } = operation;
  operation.runIn = (work) => context.with(inside, () => (runIn === undefined ? work() : runIn(work)));
}

function fail(span: Span, error: unknown): void {
  span.setAttribute("error.type", errorType(error));
  if (error instanceof LeaseholdError) {
    // Its message names the key.
    span.setStatus({ code: SpanStatusCode.ERROR });
    return;
  }
  const exception: Exception = error instanceof Error ? error : String(error);
  span.recordException(exception);
  span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) });
}
