// What differs on Windows, as far as that can be known without one: its signals, its processes, its paths in addresses.
import { afterEach, expect, test, vi } from "vitest";
import { familyOf } from "../../../src/cli/run/members.js";
import { Interrupted, Signals } from "../../../src/cli/run/signals.js";
import { Screen } from "../../../src/cli/watch/screen.js";
import { parseConnectionUrl } from "../../../src/config/connection-url.js";

/** `os.constants.signals` there. */
const ofWindows = {
  ...{ SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGILL: 4, SIGFPE: 8, SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 },
  ...{ SIGBREAK: 21, SIGABRT: 22, SIGWINCH: 28 },
};

afterEach(() => {
  vi.restoreAllMocks();
});

test("run listens for the signals that Windows has, and Ctrl-Break ends it in order", () => {
  const listeners = () => process.eventNames().filter((name) => String(name).startsWith("SIG"));
  const before = listeners();
  const signals = new Signals(ofWindows);
  const added = listeners().filter((name) => !before.includes(name));

  process.emit("SIGBREAK", "SIGBREAK");
  const { aborted, reason } = signals.signal;
  signals.stop();

  expect(added.sort()).toEqual(["SIGBREAK", "SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGWINCH"]);
  expect(aborted).toBe(true);
  expect(reason).toBeInstanceOf(Interrupted);
  expect(reason).toMatchObject({ message: expect.stringContaining("SIGBREAK"), exitCode: 128 + 21 });
  expect(listeners()).toEqual(before);
});

test("watch stays on the screen at Ctrl-Z, for nothing can be suspended", () => {
  const kill = vi.spyOn(process, "kill").mockReturnValue(true); // it would stop this process
  const write = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  const screen = new Screen({ onKey: () => undefined, onChange: () => undefined });
  write.mockClear();

  screen.suspend(ofWindows);
  const [written, killed] = [write.mock.calls.length, kill.mock.calls.length];
  screen.close();

  expect({ written, killed }).toEqual({ written: 0, killed: 0 });
});

test("without a process table the process of a command stands for its family", async () => {
  const family = await familyOf(process.pid, "win32");
  expect(await family.areLeft()).toBe(true);
  expect(await (await familyOf(2 ** 30, "win32")).areLeft()).toBe(false);
});

test.for([String.raw`C:\certs\root ca.pem`, "C:/certs/root ca.pem", String.raw`\\server\share\ca.pem`])(
  "the certificate %s is the path that it is, with its drive and its slashes, percent-encoded or not",
  (path) => {
    for (const written of [path.replace(" ", "%20"), encodeURIComponent(path)]) {
      const parse = () =>
        parseConnectionUrl(`postgres://h/d?sslmode=verify-full&sslrootcert=${written}`, "url", {}, {});
      // a file that is not there: the error says for which file it has looked
      expect(parse).toThrow(expect.objectContaining({ option: "url", cause: expect.objectContaining({ path }) }));
    }
  },
);
