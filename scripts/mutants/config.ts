// Faults in what configurations become.
import type { Mutant } from "./mutant.js";

const unit = (...names: readonly string[]) => names.map((name) => `test/unit/config/${name}.test.ts`);
const parseConfig = unit("parse-config");
const fromEnv = unit("config-from-env");
const schema = unit("schema");

export const config: readonly Mutant[] = [
  {
    name: "config: text without a unit is milliseconds",
    file: "src/config-file/kinds.ts",
    edits: [['return text === "Infinity" ?', 'return /^\\d+$/.test(text) ? Number(text) : text === "Infinity" ?']],
    tests: parseConfig,
  },
  {
    name: "config: a duration has another bound than createLocker checks",
    file: "src/config-file/backend.ts",
    edits: [["requestTimeoutMs: { kind: duration(50)", "requestTimeoutMs: { kind: duration(100)"]],
    tests: parseConfig,
  },
  {
    name: "config: a value is not named by its path",
    file: "src/config-file/table.ts",
    edits: [['  const inFront = path === "" ?', "  const inFront = path !== null ?"]],
    tests: parseConfig,
  },
  {
    name: "config: a retry may be without its first delay",
    file: "src/config-file/retry.ts",
    edits: [["delay.read(value[name], `", "delay.read(value[name] ?? 100, `"]],
    tests: parseConfig,
  },
  {
    name: "config: the larger minimum hold may come first",
    file: "src/config-file/min-hold.ts",
    edits: [["max !== undefined && min <= max", "max !== undefined && min >= 0"]],
    tests: parseConfig,
  },
  {
    name: "config: what all instances share stands in one",
    file: "src/config-file/instances.ts",
    edits: [["if (common === undefined) return", "if (common !== null) return"]],
    tests: parseConfig,
  },
  {
    name: "config: an excluded option is only unknown",
    file: "src/config-file/table.ts",
    edits: [['if (entry === undefined || "kind" in entry) return;', "if (entry !== undefined || option) return;"]],
    tests: parseConfig,
  },
  {
    name: "config: a function stands in a connection",
    file: "src/config-file/connection.ts",
    edits: [['if (typeof options[name] !== "function") continue;', "continue;"]],
    tests: parseConfig,
  },
  {
    name: "config: an error shows an address in the wrong place",
    file: "src/runtime/describe.ts",
    edits: [['/:\\/\\/\\S*@/.test(value) ? "an address"', '/:\\/\\/\\S*@@/.test(value) ? "an address"']],
    tests: parseConfig,
  },
  {
    name: "config: a slip in the name of a variable is passed over",
    file: "src/config-file/config-from-env.ts",
    edits: [["if (meant === null) continue;", "if (meant !== undefined) continue;"]],
    tests: fromEnv,
  },
  {
    name: "config: a variable that is not known is refused",
    file: "src/config-file/config-from-env.ts",
    edits: [["if (meant === null) continue;", ""]],
    tests: fromEnv,
  },
  {
    name: "config: a short variable that is another word is a slip",
    file: "src/config-file/config-from-env.ts",
    edits: [["name.length < 6 ?", "name.length < 0 ?"]],
    tests: fromEnv,
  },
  {
    name: "config: a variable that is named after its option is not known",
    file: "src/config-file/config-from-env.ts",
    edits: [["if (ofOption !== undefined) return", "if (ofOption === null) return"]],
    tests: fromEnv,
  },
  {
    name: "config: an empty variable counts",
    file: "src/config-file/config-from-env.ts",
    edits: [["if (!text) return [];", "if (text === undefined) return [];"]],
    tests: fromEnv,
  },
  {
    name: "config: the direct address of a file stays beside an address from the environment",
    file: "src/config-file/config-from-env.ts",
    edits: [["variable === undefined ? undefined : address", "variable === undefined ? {} : address"]],
    tests: fromEnv,
  },
  {
    name: "config: the schema knows other durations than the parser",
    file: "src/config-file/kinds.ts",
    edits: [["minLength: 1, pattern: DURATION_PATTERN", 'minLength: 1, pattern: "^[0-9.dhms]+$"']],
    tests: schema,
  },
  {
    name: "config: the schema lets unknown names pass",
    file: "src/config-file/table.ts",
    edits: [["additionalProperties: false", "additionalProperties: true"]],
    tests: schema,
  },
  {
    name: "examples: the cron job has no minimum hold",
    file: "examples/cron.ts",
    edits: [["{ minHoldMs: 30_000 }", "{}"]],
    tests: ["test/examples/examples.test.ts"],
  },
];
