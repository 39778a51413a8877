import type { TracingChannel } from "node:diagnostics_channel";
import type { Trace } from "./messages.js";

/**
 * Runs `work` as an operation of a tracing channel, which is told `toResult` of what it resolves to. Without subscribers nothing
 * is made, and `work` is all there is.
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
  let value!: Value; // once tracePromise has resolved
  await channel.tracePromise(async () => {
    value = await runIn(context, work);
    // Node shows this as the result: of a lock, that is not the lock with its token.
    return toResult(value);
  }, context);
  return value;
}

/** Inside of what a subscriber has set. Whatever that does, `work` runs once, and its outcome is the outcome. */
function runIn<Value>({ runIn }: Trace, work: () => Promise<Value>): Promise<Value> {
  let running: Promise<Value> | null = null;
  const start = (): Promise<Value> => {
    running ??= work();
    return running;
  };
  try {
    runIn?.(start);
  } catch (error) {
    // As Node does with what a subscriber throws.
    process.nextTick(() => {
      throw error;
    });
  }
  return start();
}
