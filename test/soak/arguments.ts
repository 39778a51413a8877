// What the command line may say. Refused before anything is started.
import { isAbsolute, resolve } from "node:path";
import { parseArgs } from "node:util";

export interface SoakArguments {
  readonly minutes: number;
  /** Acts a second, of all workers together. */
  readonly rate: number;
  readonly seed: number;
  /** Of a server that is there already. Null: one of this run's own. */
  readonly url: string | null;
  readonly out: string | null;
  /** A run that was written with `out`, to be judged again instead of a new one. */
  readonly from: string | null;
  readonly isDrawn: boolean;
  readonly isHelp: boolean;
}

/** Of a shorter run nothing can be said about growth: caches are still filling. */
export const SHORTEST_JUDGED_MINUTES = 10;

export const help = `npm run soak -- [options]

  --minutes N    how long the load lasts; default 60. Growth is judged from ${SHORTEST_JUDGED_MINUTES} on
  --rate N       acts a second, of all workers together; default 80
  --seed N       repeats what is drawn: acts and faults; default: a new one, which is printed
  --url ADDRESS  a server that is there already, as a superuser, in a database that the run makes and drops;
                 it is never restarted. Default: a server of the run's own
  --out FILE     writes all samples there, as JSON
  --from FILE    judges such a file again, and runs nothing
  --draw         draws the charts in docs, and writes the figures into docs/soak.md

The status is 1 when something grows, and 2 when an option is wrong.
`;

/** @throws {Error} with a message that names the option, what was expected and what came */
export function parseSoakArguments(args: readonly string[]): SoakArguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: "string" },
      rate: { type: "string" },
      seed: { type: "string" },
      url: { type: "string" },
      out: { type: "string" },
      from: { type: "string" },
      draw: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const of = {
    minutes: number("--minutes", values.minutes ?? "60", "a number of 0.25 to 10,080", (n) => n >= 0.25 && n <= 10_080),
    rate: number("--rate", values.rate ?? "80", "a number of 1 to 10,000", (n) => n >= 1 && n <= 10_000),
    seed: number(
      "--seed",
      values.seed ?? String(Math.floor(Math.random() * 2 ** 32)),
      "an integer of 0 to 4,294,967,295",
      (n) => Number.isInteger(n) && n >= 0 && n < 2 ** 32,
    ),
    url: address(values.url),
    out: path("--out", values.out),
    from: path("--from", values.from),
    isDrawn: values.draw,
    isHelp: values.help,
  };
  const isOfRun = ["minutes", "rate", "seed", "url", "out"].find((name) => Object.hasOwn(values, name));
  if (of.from !== null && isOfRun !== undefined) {
    throw new Error(`--from judges a run that is over: --${isOfRun} would change nothing`);
  }
  if (of.from === null && of.isDrawn && of.minutes < SHORTEST_JUDGED_MINUTES) {
    throw new Error(`--draw needs --minutes ${SHORTEST_JUDGED_MINUTES} or more, not ${of.minutes}`);
  }
  return of;
}

function number(option: string, text: string, expected: string, isValid: (value: number) => boolean): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (!isValid(value)) throw new Error(`${option} is ${expected}, not ${JSON.stringify(text)}`);
  return value;
}

function address(text: string | undefined): string | null {
  if (text === undefined) return null;
  if (!/^postgres(ql)?:$/.test(URL.canParse(text) ? new URL(text).protocol : "")) {
    throw new Error("--url is an address such as postgres://postgres@localhost/postgres, not what was given");
  }
  return text;
}

/** Taken from where npm was called, not from the root that npm changes to. */
function path(option: string, text: string | undefined): string | null {
  if (text === undefined) return null;
  if (text === "") throw new Error(`${option} needs a path`);
  return isAbsolute(text) ? text : resolve(process.env.INIT_CWD ?? process.cwd(), text);
}
