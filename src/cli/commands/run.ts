import type { Lock } from "../../api/lock.js";
import { NotAcquiredError } from "../../errors/errors.js";
import type { Locker } from "../../locker/locker.js";
import type { Arguments } from "../arguments.js";
import { type Command, connectionOptions, jsonOption } from "../command.js";
import { parseDuration } from "../duration.js";
import { runCodes } from "../exit-codes.js";
import { printError } from "../output.js";
import { StartError } from "../run/child.js";
import { Interrupted, Signals } from "../run/signals.js";
import { runUnderLock } from "../run/under-lock.js";
import { UsageError } from "../usage-error.js";
import { withLocker } from "../with-locker.js";

const GRACE_MS = 3_000;

export const run: Command = {
  name: "run",
  summary: "run a command while holding a lock",
  usage: "<key> [options] -- <command> [argument...]",
  notes: `The command finds LEASEHOLD_KEY and LEASEHOLD_FENCE in its environment. Its exit code is passed on; 128 + n when signal n ended it.
Signals are passed on. When the lock is lost, the command and all that it started get SIGTERM, and SIGKILL after the grace.

Exit codes of its own:
  ${runCodes.notAcquired}  the lock was not free, or not within --wait
  ${runCodes.lost}  the lock was lost, and the command was ended
  ${runCodes.noConnection}  Postgres could not be reached or used, or no address was given
  ${runCodes.usage}  the command line is wrong, or the address is none
  126  the command could not be started
  127  the command was not found`,
  options: {
    wait: { value: "<duration>", text: "how long to wait in the queue; default for ever" },
    "no-wait": { text: "do not wait" },
    ttl: { value: "<duration>", text: "how long the lock outlasts a holder that hangs; default 30s" },
    "min-hold": { value: "<duration>", text: "keep the key at least so long, also when the command ends at once" },
    "max-hold": { value: "<duration>", text: "the lock is lost after so long" },
    grace: { value: "<duration>", text: "time between SIGTERM and SIGKILL when the lock is lost; default 3s" },
    owner: { value: "<name>", text: "who others see as the holder; default host:pid" },
    "no-presence": { text: "hold no session: works through any pooler; a crash frees the lock after --ttl" },
    ...connectionOptions,
    ...jsonOption,
  },
  positionals: ["<key>"],
  takesCommand: true,
  exitCodes: { usage: runCodes.usage, error: runCodes.noConnection },
  async run(args) {
    const [program, ...rest] = args.command ?? [];
    if (program === undefined) throw new UsageError("the command to run is missing: leasehold run <key> -- <command>");
    const terms = readTerms(args);
    const graceMs = duration(args, "grace") ?? GRACE_MS;
    const tell = (what: unknown): void => printError("leasehold run", what, args.has("json"));
    const options = { presence: args.has("no-presence") ? "off" : "on", owner: args.text("owner") } as const;
    const signals = new Signals();
    try {
      return await withLocker(args, options, async (locker) => {
        const lock = await acquire(locker, args.positionals[0] ?? "", terms, signals.signal);
        return await runUnderLock(lock, { command: [program, ...rest], graceMs, signals, tell });
      });
    } catch (error) {
      if (error instanceof Interrupted) return error.exitCode;
      if (!(error instanceof StartError) && !(error instanceof NotAcquiredError)) throw error;
      tell(error);
      return error instanceof StartError ? error.exitCode : runCodes.notAcquired;
    } finally {
      signals.stop();
    }
  },
};

type Terms = ReturnType<typeof readTerms>;

function readTerms(args: Arguments) {
  if (args.has("wait") && args.has("no-wait")) throw new UsageError("--wait and --no-wait exclude each other");
  return {
    waitMs: args.has("no-wait") ? null : (duration(args, "wait") ?? Number.POSITIVE_INFINITY),
    ttlMs: duration(args, "ttl"),
    minHoldMs: duration(args, "min-hold"),
    maxHoldMs: duration(args, "max-hold"),
  };
}

function duration(args: Arguments, option: string): number | undefined {
  const text = args.text(option);
  return text === undefined ? undefined : parseDuration(`--${option}`, text);
}

async function acquire(locker: Locker, key: string, { waitMs, ...lease }: Terms, signal: AbortSignal): Promise<Lock> {
  if (waitMs !== null) return await locker.acquire(key, { ...lease, waitMs, signal });
  const lock = await locker.tryAcquire(key, { ...lease, signal });
  if (lock !== null) return lock;
  const info = await locker.check(key).catch(() => null);
  const holder = info?.holders[0] ?? null;
  throw new NotAcquiredError({ key: locker.fullKey(key), holder, blockingPid: info?.blockingPid });
}
