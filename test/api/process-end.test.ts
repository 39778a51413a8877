import { execFile } from "node:child_process";
import { expect, test } from "vitest";
import { nodeArguments } from "../support/compiled.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { noteStderr } from "../support/uncaught.js";

const database = await createDatabase();
const script = nodeArguments(new URL("./scripts/no-close.ts", import.meta.url));

/** How the script ends; it is killed after a time in which any script has ended. */
function run(url: string, mode: string): Promise<{ code: unknown; signal: unknown; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const args = [...script, url, mode];
    // less than the 60 s of idleTimeoutMs and ttlMs: it must not be these that end it
    execFile(process.execPath, args, { timeout: 55_000, killSignal: "SIGKILL" }, (error, stdout, stderr) => {
      noteStderr(`script ${mode}`, stderr);
      resolve({ code: error?.code ?? 0, signal: error?.signal ?? null, stdout, stderr });
    });
  });
}

test.each(["unused", "ready", "idle", "presence-off", "refused"])(
  "a script that forgets close() ends: %s",
  async (mode) => {
    expectLeft(database, "sessions"); // nobody told the server
    expect(await run(database.url, mode)).toEqual({ code: 0, signal: null, stdout: "end of script\n", stderr: "" });
  },
);

test("a script that holds a lock at its end ends, and the lock passes on by the rules of a crash", async () => {
  expectLeft(database, "sessions");
  expect(await run(database.url, "holding")).toMatchObject({ code: 0, signal: null, stdout: "end of script\n" });

  await using locker = openLocker(database);
  const info = await locker.check("script");
  expect(info).toMatchObject({ state: expect.stringMatching(/^(held|orphaned)$/), isThisProcess: false });
  const lock = await locker.acquire("script"); // after the default of 5 s, far from the TTL of 60 s
  expect(lock.fence).toBeGreaterThan(info?.fence ?? 0n);
  await lock.release();
});

test.each(["heartbeat", "release"])(
  "a script whose server is silent from %s on ends when its call has",
  async (act) => {
    expectLeft(database, "sessions");
    await using proxy = await startProxy(database.url);
    void proxy.onStatement(new RegExp(`leasehold_internal\\.${act}\\(`)).then(() => proxy.blackhole("to-client"));
    expect(await run(proxy.url(database.url), "unheard")).toMatchObject({ code: 0, signal: null });
    expectLeft(database, "leases", "sessions");
  },
);

test("a script goes on while a call that it awaits pauses between two tries", async () => {
  expectLeft(database, "sessions");
  await using holder = openLocker(database);
  const lock = await holder.acquire("held");
  const end = await run(database.url, "retrying");
  await lock.release();
  expect(end).toEqual({ code: 0, signal: null, stdout: "retries-exhausted\nend of script\n", stderr: "" });
});

test("a script goes on while it leads, also with a body that only waits for its signal", async () => {
  const end = await run(database.url, "leading");
  expectLeft(database, "sessions");
  expect(end).toEqual({ code: 0, signal: null, stdout: "has led\nend of script\n", stderr: "" });
});

test("a script goes on until every call that it awaits has an end, whatever the server does", async () => {
  expectLeft(database, "leases", "sessions");
  await using proxy = await startProxy(database.url);
  void proxy.onStatement(/leasehold_internal\.release\(/).then(() => proxy.blackhole("to-client"));
  const { stdout, ...end } = await run(proxy.url(database.url), "awaiting");
  expect(end).toMatchObject({ code: 0, signal: null });
  expect(stdout).toMatchInlineSnapshot(`
    "renew has ended
    acquire has ended
    tryAcquire has ended
    acquire with waitMs has ended
    check has ended
    ping has ended
    sweep has ended
    forceRelease has ended
    checkFence has ended
    capabilities has ended
    debug has ended
    migrate has ended
    release has ended
    close has ended
    end of script
    "
  `);
});
