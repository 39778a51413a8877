import { parseArgs } from "node:util";
import { scenes } from "./scenes.js";

export const usage = `usage: npm run campaign -- [options]

Processes take locks in every way there is, while they, the network and the server are broken at random; a checker that knows
nothing of the library reads what they wrote down. The exit code says whether every promise was kept.

  --rounds <number>    how many rounds to play (default: ${scenes.length}, one of each scene)
  --seconds <number>   how long the faults of a round go on (default: 20)
  --seed <integer>     what is drawn (default: by chance; it is printed)
  --from <integer>     the number of the first round (default: 0). A round is the same whatever came before it
  --scene <name>       only rounds of this scene: ${scenes.map(({ name }) => name).join(", ")}
  --parallel <number>  rounds at a time (default: 1)
  --quick              one short round of each scene, two at a time: about 3 minutes
  --results <file>     append a line for each round to this file, to go on later with --from, and for --report
  --keep <folder>      keep the logs of all rounds there (default: those of rounds with a violation, in a temporary folder)
  --again <folder>     play nothing; check the logs there once more, after the checker was changed, and correct the lines of --results
  --report <file>      play nothing; print the tables of a results file`;

export interface CampaignArguments {
  readonly rounds: number;
  readonly seconds: number;
  readonly seed: number;
  readonly from: number;
  readonly scene: string | undefined;
  readonly parallel: number;
  readonly results: string | undefined;
  readonly keep: string | undefined;
  readonly again: string | undefined;
  readonly report: string | undefined;
}

export class UsageError extends Error {}

export function readArguments(args: readonly string[]): CampaignArguments | "help" {
  const { values } = parse(args);
  if (values.help) return "help";
  const { scene } = values;
  if (scene !== undefined && !scenes.some(({ name }) => name === scene)) {
    throw new UsageError(`--scene must be one of ${scenes.map(({ name }) => name).join(", ")}, not ${scene}`);
  }
  if (values.again !== undefined && values.results === undefined) throw new UsageError("--again needs --results");
  const number = (name: "rounds" | "seconds" | "seed" | "from" | "parallel", least: number, usual: number): number => {
    const text = values[name];
    if (text === undefined) return usual;
    const value = Number(text);
    if (text.trim() === "" || !Number.isSafeInteger(value) || value < least) {
      throw new UsageError(`--${name} must be an integer, at least ${least}, not ${text}`);
    }
    return value;
  };
  return {
    rounds: number("rounds", 1, scene === undefined ? scenes.length : 1),
    seconds: number("seconds", 1, values.quick ? 7 : 20),
    seed: number("seed", 0, Math.floor(Math.random() * 2 ** 32)),
    from: number("from", 0, 0),
    scene,
    parallel: number("parallel", 1, values.quick ? 2 : 1),
    results: values.results,
    keep: values.keep,
    again: values.again,
    report: values.report,
  };
}

function parse(args: readonly string[]) {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  try {
    return parseArgs({
      args: [...args],
      options: {
        rounds: text,
        seconds: text,
        seed: text,
        from: text,
        scene: text,
        parallel: text,
        results: text,
        keep: text,
        again: text,
        report: text,
        quick: flag,
        help: flag,
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
