// Faults in what several instances have in common: where a key lives, and what one that is away does to the others.
import type { Mutant } from "./mutant.js";

const router = ["test/unit/instances/router.test.ts"];
const options = ["test/unit/options/instances.test.ts"];
const routed = ["test/instances/routed.test.ts"];
const commandLine = ["test/cli/instances.test.ts"];

export const instances: readonly Mutant[] = [
  {
    name: "instances: the hash of a key begins at another number",
    file: "src/instances/hash64.ts",
    edits: [["new Hash64(0xcbf29ce4, 0x84222325)", "new Hash64(0xcbf29ce4, 0x84222326)"]],
    tests: router,
  },
  {
    name: "instances: the hash is over the units of UTF-16",
    file: "src/instances/hash64.ts",
    edits: [["if (point < 0x80) {", "if (point < 0x10000) {"]],
    tests: router,
  },
  {
    name: "instances: the carry of the key's hash is lost",
    file: "src/instances/hash64.ts",
    edits: [["(low << 8) + (upper >>> 16)) | 0", "(low << 8)) | 0"]],
    tests: router,
  },
  {
    name: "instances: a weight counts beside the score, not in it",
    file: "src/instances/router.ts",
    edits: [["-weight / Math.log(this.#fraction(hash))", "weight * this.#fraction(hash)"]],
    tests: router,
  },
  {
    name: "instances: the prefix is no part of the key that is routed",
    file: "src/instances/router.ts",
    edits: [["    this.#start.addText(prefix);\n", ""]],
    tests: router,
  },
  {
    name: "instances: keys go to one without weight",
    file: "src/instances/router.ts",
    edits: [[".filter(({ weight }) => weight > 0)", ".filter(({ weight }) => weight > -1)"]],
    tests: router,
  },
  {
    name: "instances: one with an address of its own takes the direct address of the others",
    file: "src/config/resolve-instances.ts",
    edits: [['["url", "directUrl", "client"] as const', '["url", "client"] as const']],
    tests: options,
  },
  {
    name: "instances: one database twice",
    file: "src/config/resolve-instances.ts",
    edits: [["if (database.id !== null) found.set(database.id, name);", ""]],
    tests: options,
  },
  {
    name: "instances: an error does not say of which",
    file: "src/config/resolve-instances.ts",
    edits: [["throw reworded(error, text, isVariable", "throw error ?? reworded(error, text, isVariable"]],
    tests: options,
  },
  {
    name: "instances: an address in the place of one is shown",
    file: "src/errors/argument-errors.ts",
    edits: [["|^instances(\\.[^.]+)?$/i", "/i"]],
    tests: options,
  },
  {
    name: "instances: the first failure ends what is asked of all",
    file: "src/locker/over-instances.ts",
    edits: [
      [
        "await Promise.allSettled(Array.from(all.values(), (asked) => ask(asked)));",
        '(await Promise.all(Array.from(all.values(), (asked) => ask(asked)))).map((value) => ({ status: "fulfilled" as const, value, reason: null }));',
      ],
    ],
    tests: routed,
  },
  {
    name: "instances: a feature is there when one has it",
    file: "src/locker/over-instances.ts",
    edits: [
      ["const isOn = states.every(([, state]) => state.isOn);", "const isOn = states.some(([, state]) => state.isOn);"],
    ],
    tests: routed,
  },
  {
    name: "instances: the mark of a fence is kept where a key with the prefix would be",
    file: "src/locker/routed-locker.ts",
    edits: [["this.#router.ofFullKey(resource)", "this.#router.of(resource)"]],
    tests: routed,
  },
  {
    name: "instances: a closed locker is handed out by getLocker",
    file: "src/locker/routed-locker.ts",
    edits: [["lockers.every((one) => Reflect.get(one, isClosing) === true)", "false"]],
    tests: routed,
  },
  {
    name: "instances: each says that it is a locker of its own",
    file: "src/locker/create-locker.ts",
    edits: [
      ["locker: openOver(options, lockerId) })", "locker: openOver(options) })"],
      ["const lockerId = nextLockerId();\n  ", ""],
    ],
    tests: routed,
  },
  {
    name: "instances: in memory all share one store",
    file: "src/locker/create-locker.ts",
    edits: [["sharedMemoryStore(instance)", "sharedMemoryStore()"]],
    tests: routed,
  },
  {
    name: "instances: telemetry does not say which",
    file: "src/otel/attributes.ts",
    edits: [['{ "leasehold.instance": instance }', "{}"]],
    tests: ["test/instances/otel.test.ts"],
  },
  {
    name: "instances: the command line routes a key without the weights",
    file: "src/cli/instances.ts",
    edits: [["if (key !== undefined && hasWeights && selected === all)", "if (key !== undefined && selected === all)"]],
    tests: commandLine,
  },
  {
    name: "instances: one that is away ends the list of the others",
    file: "src/cli/database.ts",
    edits: [
      [
        "const thrown = answers.length === 0 ? [failures.pop()] : [];",
        "const thrown = failures.length > 0 ? [failures.pop()] : [];",
      ],
    ],
    tests: commandLine,
  },
  {
    name: "instances: a list that lacks one counts as complete",
    file: "src/cli/read-all.ts",
    edits: [["exitCode: isComplete ? SUCCESS : FAILURE,", "exitCode: SUCCESS,"]],
    tests: commandLine,
  },
  {
    name: "instances: the text of the variable is shown",
    file: "src/config/instances-variable.ts",
    edits: [
      [
        "  } catch {\n    // What JSON.parse throws quotes the text.\n    throw refuse();",
        "  } catch {\n    throw new InvalidOptionError({ option: INSTANCES_VARIABLE, received: text });",
      ],
    ],
    tests: options,
  },
];
