import type { LockerOptions } from "../api/options.js";
import { directUrlVariables } from "../config/resolve-targets.js";
import { InvalidOptionError } from "../errors/errors.js";
import { nearest } from "../errors/option-checks.js";
import { quote } from "../runtime/describe.js";
import type { Context } from "./kind.js";
import { address } from "./kinds.js";
import { configOptions } from "./options.js";
import { type ConfigOptions, checkConfigOptions } from "./parse-config.js";
import { entriesOf } from "./table.js";
import { variables } from "./variables.js";

type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = "LEASEHOLD_";
const variableOf: Readonly<Record<string, string | null>> = variables;
const known = Object.values(variables).filter((variable) => variable !== null);

/**
 * The options of a locker from variables such as `LEASEHOLD_TTL=30s`, `LEASEHOLD_STORE=memory` or `LEASEHOLD_KEEP_ALIVE=false`. Durations need
 * a unit here. Empty text counts as not set. `DATABASE_URL` and the like are left to `createLocker`.
 *
 * A variable that begins with `LEASEHOLD_` and is one of these but for a slip is refused. Others that begin so are passed over, for another
 * version may know them.
 *
 * ```ts
 * import { configFromEnv } from "leasehold/config";
 *
 * const locker = createLocker({ prefix: "shop:", ...configFromEnv() });
 * ```
 * @throws {InvalidOptionError} which names the variable, what was expected and what came
 */
export function configFromEnv(
  env: Readonly<Record<string, string | undefined>> = process.env,
  options: ConfigOptions = {},
): LockerOptions {
  const { stores } = checkConfigOptions("configFromEnv's options", options);
  if (typeof env !== "object" || env === null || Array.isArray(env)) {
    throw new InvalidOptionError({ option: "env", expected: "an object such as process.env", received: env });
  }
  refuseSlips(env);
  const context = { stores: stores ?? {} };
  const read = Object.entries(entriesOf(configOptions)).flatMap(([name, { kind }]) => {
    const variable = variableOf[name] ?? "";
    const text = env[variable];
    if (!text) return [];
    const value = kind.fromText === undefined ? text : kind.fromText(text, variable);
    return [[name, kind.read(value, variable, context)]];
  });
  return { ...Object.fromEntries(read), ...directUrlBeside(env, context), ...(stores === undefined ? {} : { stores }) };
}

function refuseSlips(env: Environment): void {
  for (const variable of Object.keys(env)) {
    if (!variable.startsWith(PREFIX) || known.some((one) => one === variable)) continue;
    const meant = meantBy(variable.slice(PREFIX.length));
    if (meant === null) continue;
    const message = `${quote(variable)}: there is no such variable. Did you mean ${quote(meant)}?`;
    throw new InvalidOptionError({ option: variable, expected: meant, received: undefined, message });
  }
}

/** Null: it is not ours. Two changes make another word of a short one: `TAG` is not meant to be `TTL`, nor `STATE` to be `STORE`. */
function meantBy(name: string): string | null {
  const ofOption = Object.keys(variableOf).find((option) => option.toUpperCase() === name.replaceAll("_", ""));
  if (ofOption !== undefined) return variableOf[ofOption] ?? null;
  const names = known.map((variable) => variable.slice(PREFIX.length));
  const swapped = names.find((one) => letters(one) === letters(name));
  const near = swapped ?? (name.length < 6 ? nearest(name, names, 1) : nearest(name, names));
  return near === null ? null : `${PREFIX}${near}`;
}

function letters(name: string): string {
  return [...name].sort().join("");
}

/**
 * Beside an address from the environment, the direct one comes from there, too, and from where `createLocker` would look for it. Never from a
 * file whose options these replace: it would lead to another database.
 */
function directUrlBeside(env: Environment, context: Context): Pick<LockerOptions, "directUrl"> {
  if (!env.LEASEHOLD_DATABASE_URL) return {};
  const variable = directUrlVariables.find((name) => env[name]);
  return { directUrl: variable === undefined ? undefined : address.read(env[variable], variable, context) };
}
