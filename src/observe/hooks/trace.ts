import type { TracingChannel } from "node:diagnostics_channel";
import type { Trace } from "./messages.js";

/**
 * Runs `work` as an operation of a tracing channel. Subscribers get `toResult` of the value. Without subscribers it
 * only runs `work`.
 */
export function traced<Value, Context extends Trace>(
  channel: TracingChannel<unknown, Context>,
  makeContext: () => Context,
  work: () => Promise<Value>,
  toResult: (value: Value) => unknown,
): Promise<Value> {
  return channel.hasSubscribers ? trace(channel, makeContext(), work, toResult) : work();
}

async function trace<Value, Context extends Trace>(
  channel: TracingChannel<unknown, Context>,
  context: Context,
  work: () => Promise<Value>,
  toResult: (value: Value) => unknown,
): Promise<Value> {
  let value!: Value; // set when tracePromise has resolved
  await channel.tracePromise(async () => {
    value = await runIn(context, work);
    // Node shows this as the result. For an acquire it must not be the lock, which contains the token.
    return toResult(value);
  }, context);
  return value;
}

/** Runs `work` inside the subscriber's `runIn`. Whatever that does, `work` runs once, and its outcome is returned. */
function runIn<Value>({ runIn }: Trace, work: () => Promise<Value>): Promise<Value> {
  let running: Promise<Value> | null = null;
  const start = (): Promise<Value> => {
    running ??= work();
    return running;
  };
  try {
    runIn?.(start);
  } catch (error) {
    // As Node does with errors of subscribers.
    process.nextTick(() => {
      throw error;
    });
  }
  return start();
}
