import type { Lock } from "../../api/lock.js";
import type { ShareOptions } from "../../api/share-options.js";
import { NotAcquiredError } from "../../errors/errors.js";
import type { Locker } from "../../locker/locker.js";
import type { Arguments } from "../arguments.js";
import { type Command, connectionOptions, jsonOption } from "../command.js";
import { parseDuration } from "../duration.js";
import { runCodes } from "../exit-codes.js";
import { printError } from "../output.js";
import { quoteArgument } from "../quote-argument.js";
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
A key that begins with - follows behind a -- of its own: leasehold run [options] -- <key> -- <command>. This works for every key.
In cron, --no-wait --quiet --conflict-exit-code 0 makes a skip silent and a success. All other errors are still told.

Exit codes of its own:
  ${runCodes.notAcquired}  the lock was not free, or not within --wait; another one with --conflict-exit-code
  ${runCodes.lost}  the lock was lost, and the command was ended
  ${runCodes.noConnection}  Postgres could not be reached or used, or no address was given
  ${runCodes.usage}  the command line is wrong, or the address cannot be read
  126  the command could not be started
  127  the command was not found`,
  options: {
    wait: { value: "<duration>", text: "how long to wait in the queue; default for ever" },
    "no-wait": { text: "do not wait" },
    shared: { text: "a read lock: beside any number of others that are shared" },
    capacity: { value: "<number>", text: "a semaphore: beside others, as many as fit" },
    weight: { value: "<number>", text: "what it takes of --capacity; default 1" },
    ttl: { value: "<duration>", text: "how long the lock outlasts a holder that hangs; default 30s" },
    "min-hold": { value: "<duration>", text: "keep the key at least so long, also when the command ends at once" },
    "max-hold": { value: "<duration>", text: "the lock is lost after so long" },
    grace: { value: "<duration>", text: "time between SIGTERM and SIGKILL when the lock is lost; default 3s" },
    owner: { value: "<name>", text: "who others see as the holder; default host:pid" },
    quiet: { short: "q", text: "say nothing when the lock was not free" },
    "conflict-exit-code": {
      short: "E",
      value: "<code>",
      text: `exit code when the lock was not free, 0 to 255; default ${runCodes.notAcquired}`,
    },
    "no-presence": { text: "hold no session: works through any pooler; a crash frees the lock after --ttl" },
    ...connectionOptions,
    ...jsonOption,
  },
  examples: [
    {
      text: "Run a job if no other machine runs it already",
      call: "leasehold run report:daily --no-wait -- ./report.sh",
    },
    {
      text: "The same for cron: a skip makes no mail, and counts as a success",
      call: "leasehold run report:daily --no-wait -q -E 0 -- ./report.sh",
    },
    { text: "Wait for at most ten seconds", call: "leasehold run deploy:web --wait 10s -- ./deploy.sh web" },
    {
      text: "Use the fencing token in what the command writes",
      call: `leasehold run order:42 -- sh -c 'echo "order 42 is written with fence $LEASEHOLD_FENCE"'`,
    },
    { text: "At most three at a time, over all machines", call: "leasehold run import --capacity 3 -- ./report.sh" },
    {
      text: "Beside other readers, but not while somebody writes",
      call: "leasehold run report --shared -- ./report.sh",
    },
    { text: "Take a key from a variable, whatever it begins with", call: 'leasehold run -- "$KEY" -- ./report.sh' },
  ],
  positionals: ["<key>"],
  takesCommand: true,
  exitCodes: { usage: runCodes.usage, error: runCodes.noConnection },
  async run(args) {
    const [program, ...rest] = args.command ?? [];
    if (program === undefined) throw new UsageError("the command to run is missing: leasehold run <key> -- <command>");
    const terms = readTerms(args);
    const graceMs = duration(args, "grace") ?? GRACE_MS;
    const conflictCode = readExitCode(args.text("conflict-exit-code"));
    const tell = (what: unknown): void => printError("leasehold run", what, args.has("json"));
    // While it waits: it outlasts an outage. What fails before that ends the command, and a lock that is lost is told as such.
    let isWaiting = false;
    const warn = (error: unknown): void => (isWaiting && !args.has("quiet") ? tell(error) : undefined);
    const options = {
      presence: args.has("no-presence") ? "off" : "on",
      owner: args.text("owner"),
      onError: warn,
    } as const;
    const signals = new Signals();
    try {
      const [key = ""] = args.positionals;
      const hold = async (locker: Locker): Promise<number> => {
        // A wait outlasts an outage. An address that has never worked is told at once.
        await locker.ready();
        isWaiting = true;
        const lock = await acquire(locker, key, terms, signals.signal);
        isWaiting = false;
        return await runUnderLock(lock, { command: [program, ...rest], graceMs, signals, tell });
      };
      return await withLocker(args, options, hold, key);
    } catch (error) {
      if (error instanceof Interrupted) return error.exitCode;
      if (!(error instanceof StartError) && !(error instanceof NotAcquiredError)) throw error;
      const isConflict = error instanceof NotAcquiredError;
      if (!isConflict || !args.has("quiet")) tell(error);
      return isConflict ? conflictCode : error.exitCode;
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
    ...readShare(args),
  };
}

function readShare(args: Arguments): ShareOptions {
  const [capacity, weight] = [count(args, "capacity"), count(args, "weight")];
  if (args.has("shared") && capacity !== undefined) throw new UsageError("--shared and --capacity exclude each other");
  if (weight !== undefined && capacity === undefined)
    throw new UsageError("--weight: expected --capacity <number> beside it, of which it is a part");
  if (weight !== undefined && capacity !== undefined && weight > capacity)
    throw new UsageError(`--weight: expected at most --capacity ${capacity}, got ${weight}`);
  return { shared: args.has("shared") || undefined, capacity, weight };
}

function count(args: Arguments, option: string): number | undefined {
  const text = args.text(option);
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,9}$/.test(text) && Number(text) <= 2_147_483_647) return Number(text);
  throw new UsageError(`--${option}: expected a whole number of 1 to 2147483647, got ${quoteArgument(text)}`);
}

function readExitCode(text: string | undefined): number {
  if (text === undefined) return runCodes.notAcquired;
  if (/^\d{1,3}$/.test(text) && Number(text) <= 255) return Number(text);
  throw new UsageError(`--conflict-exit-code: expected a whole number of 0 to 255, got ${quoteArgument(text)}`);
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
