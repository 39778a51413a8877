import type { Viewer, Watcher } from "./watcher.js";

/** What waits to be sent to one browser at most, before it is told less. */
const MOST_WAITING_BYTES = 4_000_000;

/** What was sent last, as bytes: all browsers are told the same, and those that are slow keep it in memory together. */
const encoded = new WeakMap<Pick<Watcher, "add">, Map<string, { readonly data: string; readonly bytes: Uint8Array }>>();

/** The body of an answer: server-sent events, until the browser goes. */
export function eventStream(watcher: Pick<Watcher, "add">, token: string | null): ReadableStream<Uint8Array> {
  let stop = (): void => undefined;
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const viewer: Viewer = {
          send: (event, data) => {
            if (controller.desiredSize !== null) controller.enqueue(bytesOf(watcher, event, data));
          },
          get isReady() {
            return (controller.desiredSize ?? 0) > 0;
          },
          token,
          end: () => controller.close(),
        };
        controller.enqueue(new TextEncoder().encode("retry: 1000\n\n"));
        stop = watcher.add(viewer);
      },
      cancel() {
        stop();
      },
    },
    { highWaterMark: MOST_WAITING_BYTES, size: (chunk) => chunk?.byteLength ?? 0 },
  );
}

function bytesOf(watcher: Pick<Watcher, "add">, event: string, data: string): Uint8Array {
  const last = encoded.get(watcher) ?? new Map<string, { readonly data: string; readonly bytes: Uint8Array }>();
  encoded.set(watcher, last);
  const known = last.get(event);
  if (known?.data === data) return known.bytes;
  const bytes = new TextEncoder().encode(`event: ${event}\ndata: ${data}\n\n`);
  last.set(event, { data, bytes });
  return bytes;
}
