import type { ForceReleaseResult } from "../../api/force-release.js";
import type { Locker } from "../../locker/locker.js";
import { type Command, connectionOptions, jsonOption } from "../command.js";
import { looksLikeDuration, parseDuration } from "../duration.js";
import { FAILURE, SUCCESS } from "../exit-codes.js";
import { writeJson, writeOut } from "../output.js";
import { afterwards, nothingTaken, stillKept, taken } from "../release/sentences.js";
import { othersOf, waitUntilFree } from "../release/until-free.js";
import { UsageError } from "../usage-error.js";
import { withLocker } from "../with-locker.js";

export const release: Command = {
  name: "release",
  summary: "take a lock from its holders (--force)",
  usage: "--force <key> [--fence <number>] [--immediate] [--wait [duration]] [options]",
  notes: `Without --immediate the holder is told at its next renewal, and the key is free when it lets go or when its lease ends.
--immediate frees the key now, although its holder may still work: two may then believe that they hold it.
--wait waits until its holder has let go, or whatever else keeps the key, for so long at most: --wait 30s. Default: as long as it takes.
A key that is shared is taken from all who share it; --fence names one of them.
Exit code 1 when nobody held the key, or not with that fence, or when it is not free after --wait.
For the owner of the schema, and administrators (leasehold.grant_admin).`,
  options: {
    force: { text: "required: this is somebody else's lock" },
    fence: { value: "<number>", text: "only the grant with this fence, not one that came after it" },
    immediate: { text: "free the key now; breaks exclusion on purpose" },
    wait: { value: "[duration]", mayBe: looksLikeDuration, text: "wait until the key is free" },
    ...connectionOptions,
    ...jsonOption,
  },
  examples: [
    { text: "Take a key from its holder, who is told at its next renewal", call: "leasehold release --force order:42" },
    {
      text: "Only if it is still the grant that was looked at",
      call: "leasehold release --force order:42 --fence 409377",
    },
    {
      text: "Free it now, and wait until no open transaction guards it either",
      call: "leasehold release --force order:42 --immediate --wait 30s",
    },
  ],
  positionals: ["<key>"],
  async run(args) {
    const [key = ""] = args.positionals;
    if (!args.has("force")) {
      throw new UsageError(
        "a lock is released by its holder; to take it from the holder say so: leasehold release --force <key>",
      );
    }
    const fence = readFence(args.text("fence"));
    const waitMs = readWait(args.text("wait"));
    const isImmediate = args.has("immediate");
    const isJson = args.has("json");
    const say = (sentence: string): void => {
      if (!isJson) writeOut(`${sentence}\n`);
    };
    const take = async (locker: Locker): Promise<number> => {
      const result = await locker.forceRelease(key, { fence, immediate: isImmediate });
      const isOne = fence !== undefined && result !== null;
      const info = result === null || result.holders.length === 0 || isOne ? await locker.check(key) : null;
      if (result === null) {
        say(nothingTaken(key, fence, info));
        if (isJson) writeJson({ key, outcome: null, state: info?.state ?? "free" });
        return FAILURE;
      }
      // An open transaction alone keeps it: there was nobody to take it from, but it can be waited for.
      const isKept = info?.state === "blocked" && result.holders.length === 0;
      const isShared = isOne && othersOf(info, new Set([fence])).length > 0;
      say(isKept ? nothingTaken(key, fence, info) : taken(key, result, { isImmediate, isShared }));
      const waited = waitMs === null ? null : await waitUntilFree(locker, key, result, waitMs);
      if (waited?.isFree) say(afterwards(key, waited));
      else if (waited) process.stderr.write(`leasehold release: ${stillKept(key, result, waited.info)}\n`);
      const data = { ...toData(result), ...(isKept ? { outcome: null, state: info.state } : {}) };
      if (isJson) writeJson({ key, ...data, ...(waited === null ? {} : { is_free: waited.isFree }) });
      return waited?.isFree === false || (waited === null && isKept) ? FAILURE : SUCCESS;
    };
    return await withLocker(args, { presence: "off" }, take, key);
  },
};

function toData({ outcome, freeAt, holders, blockingPid, blockingTransaction }: ForceReleaseResult): object {
  return {
    outcome,
    free_at: freeAt,
    holders: holders.map(({ owner, fence, weight, expiresAt }) => ({
      owner,
      fence: fence.toString(),
      weight,
      expires_at: expiresAt,
    })),
    blocking_pid: blockingPid,
    blocking_transaction: blockingTransaction,
  };
}

function readFence(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,18}$/.test(text)) return BigInt(text);
  throw new UsageError("--fence: expected a whole number, as leasehold ls shows it");
}

/** Null: not at all. */
function readWait(text: string | undefined): number | null {
  if (text === undefined) return null;
  return text === "" ? Number.POSITIVE_INFINITY : parseDuration("--wait", text);
}
