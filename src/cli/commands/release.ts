import { type Command, connectionOptions, jsonOption } from "../command.js";
import { FAILURE, SUCCESS } from "../exit-codes.js";
import { writeJson, writeOut } from "../output.js";
import { printable } from "../printable.js";
import { UsageError } from "../usage-error.js";
import { withLocker } from "../with-locker.js";

export const release: Command = {
  name: "release",
  summary: "take a lock from its holder (--force)",
  usage: "--force <key> [--fence <number>] [--immediate] [options]",
  notes: `Without --immediate the holder is told at its next renewal, and the key is free when it lets go or when its lease ends.
--immediate frees the key now, although its holder may still work: two may then believe that they hold it.
Exit code 1 when nobody held the key, or not with that fence. For the owner of the schema, and roles that were granted it.`,
  options: {
    force: { text: "required: this is somebody else's lock" },
    fence: { value: "<number>", text: "only the grant with this fence, not one that came after it" },
    immediate: { text: "free the key now; breaks exclusion on purpose" },
    ...connectionOptions,
    ...jsonOption,
  },
  examples: [
    { text: "Take a key from its holder, who is told at its next renewal", call: "leasehold release --force order:42" },
    {
      text: "Only if it is still the grant that was looked at",
      call: "leasehold release --force order:42 --fence 409377",
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
    const options = { fence, immediate: args.has("immediate") };
    const isReleased = await withLocker(args, { presence: "off" }, (locker) => locker.forceRelease(key, options));
    if (args.has("json")) writeJson({ key, is_released: isReleased });
    else if (isReleased) writeOut(`${printable(key)} was taken from its holder.\n`);
    else writeOut(`Nobody holds ${printable(key)}${fence === undefined ? "" : ` with fence ${fence}`}.\n`);
    return isReleased ? SUCCESS : FAILURE;
  },
};

function readFence(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,18}$/.test(text)) return BigInt(text);
  throw new UsageError("--fence: expected a whole number, as leasehold ls shows it");
}
