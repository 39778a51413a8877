import { expect, test } from "vitest";
import { startWorker } from "./child.js";
import { expectUncaught, takeUncaught } from "./uncaught.js";

const file = new URL("./fixtures/echo-worker.ts", import.meta.url);

test("a worker answers requests, throws, and tells of events in order", async () => {
  await using worker = await startWorker(file, { greeting: "hello" });
  expect(await worker.request("greet", { name: "you", n: 41n })).toBe("hello you 42");
  await expect(worker.request("fail")).rejects.toMatchObject({ name: "TypeError", message: "no", code: "refused" });
  await worker.request("count");
  expect([await worker.next("counted"), await worker.next("counted"), await worker.next("counted")]).toEqual([1, 2, 3]);
});

test("a frozen worker does nothing until it goes on, and a killed one fails what was asked of it", async () => {
  await using worker = await startWorker(file, { greeting: "hello" });
  worker.stop();
  await expect(worker.request("ticks", undefined, { timeoutMs: 300 })).rejects.toThrow("before the answer to ticks");
  worker.cont();
  expect(await worker.request("ticks")).toEqual(expect.any(Number));
  worker.stop();
  const asked = expect(worker.request("ticks")).rejects.toThrow("ended (SIGKILL)");
  expect(await worker.kill()).toEqual({ code: null, signal: "SIGKILL" });
  await asked;
});

test("a worker that cannot be set up says why", async () => {
  expectUncaught(/Cannot find module/);
  await expect(startWorker("test/support/fixtures/no-such-worker.ts")).rejects.toThrow(/Cannot find module/);
});

test("an error that nobody catches in a worker is found, also when the test asks nothing more of it", async () => {
  await using worker = await startWorker(file, { greeting: "hello" });
  worker.send({ id: 1, command: "throwLater", args: undefined });
  expect(await worker.exit).toEqual({ code: 1, signal: null });
  expect(takeUncaught()).toEqual([expect.stringContaining("nobody catches this")]);
});
