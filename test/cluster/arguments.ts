// What the command line may say. Refused before anything is started.
import { parseArgs } from "node:util";
import type { Mode } from "./history.js";

export interface ClusterArguments {
  readonly modes: readonly Mode[];
  /** Names of faults, in the order in which they are caused. */
  readonly faults: readonly string[];
  readonly seed: number;
  readonly isToBeWritten: boolean;
  readonly isHelp: boolean;
}

export const help: string = `npm run cluster -- [options]

Starts three Postgres nodes under Patroni, with etcd and HAProxy, on the loopback address; causes one fault after another while
processes lock, write and lead through them; and says what each fault cost, and whether every promise was kept. The exit code is 1
when one was broken, 2 when something is missing. Needs Linux and Debian's packages patroni, etcd-server, haproxy and postgresql.

  --async             only with asynchronous replication
  --sync              only with synchronous replication; default: first the one, then the other
  --only FAULT,...    these faults alone, in this order:
FAULTS
  --seed NUMBER       repeats what is drawn; not how the processes are scheduled
  --write             writes the table into docs/guides/high-availability.md: only of a full run
  -h, --help
`;

/** @throws {Error} with a message that says what may be said instead */
export function parseClusterArguments(args: readonly string[], known: readonly string[]): ClusterArguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      async: { type: "boolean", default: false },
      sync: { type: "boolean", default: false },
      only: { type: "string" },
      seed: { type: "string" },
      write: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const modes: readonly Mode[] = values.async === values.sync ? ["async", "sync"] : [values.async ? "async" : "sync"];
  const faults = namesOf(values.only, known);
  if (values.write && (modes.length < 2 || known.some((name) => !faults.includes(name)))) {
    throw new Error("--write needs a full run: leave out --only, --async and --sync");
  }
  return { modes, faults, seed: seedOf(values.seed), isToBeWritten: values.write, isHelp: values.help };
}

function namesOf(text: string | undefined, known: readonly string[]): readonly string[] {
  if (text === undefined) return known;
  const asked = text.split(",").map((name) => name.trim());
  const unknown = asked.filter((name) => !known.includes(name)).map((name) => `"${name}"`);
  if (unknown.length > 0) throw new Error(`--only does not know ${unknown.join(", ")}; it knows ${known.join(", ")}`);
  return [...new Set(asked)];
}

function seedOf(text: string | undefined): number {
  if (text === undefined) return Math.floor(Math.random() * 2 ** 32);
  const seed = Number(text);
  if (text === "" || !Number.isSafeInteger(seed) || seed < 0) {
    throw new Error(`--seed is a whole number of 0 or more, not "${text}"`);
  }
  return seed;
}
