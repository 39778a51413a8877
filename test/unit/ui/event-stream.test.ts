// The stream of a browser, and what it costs beside others.
import { expect, test } from "vitest";
import { eventStream } from "../../../src/ui/live/event-stream.js";
import type { Viewer } from "../../../src/ui/live/watcher.js";

function open() {
  const viewers = new Set<Viewer>();
  const watcher = {
    add(viewer: Viewer) {
      viewers.add(viewer);
      return () => void viewers.delete(viewer);
    },
  };
  return { viewers, watcher };
}

test("what all are told is in memory once; what differs is not mixed up", async () => {
  const { viewers, watcher } = open();
  const readers = [eventStream(watcher, null).getReader(), eventStream(watcher, null).getReader()];
  const read = async () => await Promise.all(readers.map(async (reader) => (await reader.read()).value));
  await read(); // how soon to come again
  const tell = (event: "state" | "trouble", data: string) => {
    for (const viewer of viewers) viewer.send(event, data);
  };
  tell("state", "{}");
  const [one, two] = await read();
  expect(one).toBe(two);
  expect(new TextDecoder().decode(one)).toBe("event: state\ndata: {}\n\n");
  tell("trouble", "{}");
  expect(new TextDecoder().decode((await read())[1])).toBe("event: trouble\ndata: {}\n\n");
  tell("state", "[]");
  expect(new TextDecoder().decode((await read())[0])).toBe("event: state\ndata: []\n\n");
  for (const reader of readers) await reader.cancel();
  expect(viewers.size).toBe(0);
});

test("one that is never read is told no more, and can be ended and cancelled", async () => {
  const { viewers, watcher } = open();
  const [cancelled, ended] = [eventStream(watcher, null), eventStream(watcher, null)];
  const [first, second] = [...viewers];
  first?.send("state", `"${"x".repeat(5_000_000)}"`);
  expect(first?.isReady).toBe(false);
  await cancelled.cancel();
  expect(viewers.size).toBe(1);
  second?.end();
  await ended.cancel();
  expect(viewers.size).toBe(0);
});
