import type { Viewer, Watcher } from "./watcher.js";

/** What waits to be sent to one browser at most, before it is told less. */
const MOST_WAITING_BYTES = 4_000_000;

/** The body of an answer: server-sent events, until the browser goes. */
export function eventStream(watcher: Watcher, token: string | null): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let stop = (): void => undefined;
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const viewer: Viewer = {
          send: (event, data) => {
            if (controller.desiredSize !== null)
              controller.enqueue(encoder.encode(`event: ${event}\ndata: ${data}\n\n`));
          },
          get isReady() {
            return (controller.desiredSize ?? 0) > 0;
          },
          token,
          end: () => controller.close(),
        };
        controller.enqueue(encoder.encode("retry: 1000\n\n"));
        stop = watcher.add(viewer);
      },
      cancel() {
        stop();
      },
    },
    { highWaterMark: MOST_WAITING_BYTES, size: (chunk) => chunk?.byteLength ?? 0 },
  );
}
