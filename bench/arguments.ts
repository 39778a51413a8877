// What the command line may say. Refused before anything is started.
import { isAbsolute, resolve } from "node:path";
import { parseArgs } from "node:util";

export interface BenchArguments {
  readonly isQuick: boolean;
  /** Null: all. */
  readonly only: readonly string[] | null;
  readonly peers: readonly string[] | null;
  /** Folder of another checkout, built. */
  readonly against: string | null;
  readonly json: string | null;
  readonly isHelp: boolean;
}

export const help = `npm run bench -- [options]

  --quick                less of everything, in a few minutes
  --only NAME,...        these workloads alone
  --peers NAME,...       beside these alone ("none": beside none)
  --against FOLDER       the same library from another checkout, built there, as one more contender
  --json FILE            writes the results there
`;

/** @throws {Error} with a message that names what may be said instead */
export function parseBenchArguments(
  args: readonly string[],
  known: { readonly workloads: readonly string[]; readonly peers: readonly string[] },
): BenchArguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      only: { type: "string" },
      peers: { type: "string" },
      against: { type: "string" },
      json: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  return {
    isQuick: values.quick,
    only: names("--only", values.only, known.workloads),
    peers: values.peers === "none" ? [] : names("--peers", values.peers, known.peers),
    against: path("--against", values.against),
    json: path("--json", values.json),
    isHelp: values.help,
  };
}

function names(option: string, text: string | undefined, known: readonly string[]): string[] | null {
  if (text === undefined) return null;
  const asked = text.split(",").map((name) => name.trim());
  const unknown = asked.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new Error(
      `${option} does not know ${unknown.map((name) => `"${name}"`).join(", ")}; it knows ${known.join(", ")}`,
    );
  }
  return [...new Set(asked)];
}

function path(option: string, text: string | undefined): string | null {
  if (text === undefined) return null;
  if (text === "") throw new Error(`${option} needs a path`);
  return isAbsolute(text) ? text : resolve(process.env.INIT_CWD ?? process.cwd(), text);
}
