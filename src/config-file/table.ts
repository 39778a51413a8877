import type { JsonObject } from "../api/metadata.js";
import { isPlainObject } from "../config/metadata.js";
import { InvalidOptionError } from "../errors/errors.js";
import { checkNames } from "../errors/option-checks.js";
import type { Context, Entry, Excluded, Table } from "./kind.js";

/** Reads an object of options. `path` is where it stands, such as `instances.a`; empty for the whole. */
export function readOptions<Options extends object>(
  table: Table<Options>,
  value: unknown,
  path: string,
  context: Context,
): Options {
  const what = path === "" ? "the configuration" : path;
  if (!isPlainObject(value)) {
    throw new InvalidOptionError({ option: what, expected: "an object with options by name", received: value });
  }
  const inFront = path === "" ? "" : `${path}.`;
  for (const name of Object.keys(value)) refuseExcluded(table, name, `${inFront}${name}`);
  checkNames(what, value, Object.keys(entriesOf(table)), inFront);
  const read = Object.entries(entriesOf(table))
    .filter(([name]) => value[name] !== undefined)
    .map(([name, { kind }]) => [name, kind.read(value[name], `${inFront}${name}`, context)]);
  return Object.fromEntries(read);
}

/** JSON Schema of an object of options. */
export function schemaOf<Options>(table: Table<Options>, ...required: readonly (keyof Options & string)[]): JsonObject {
  const properties = Object.entries(entriesOf(table)).map(([name, { kind, about }]) => [
    name,
    { description: about, ...kind.schema },
  ]);
  return {
    type: "object",
    properties: Object.fromEntries(properties),
    ...(required.length > 0 ? { required } : {}),
    additionalProperties: false,
  };
}

/** What a configuration can have, by name. */
export function entriesOf<Options>(table: Table<Options>): Readonly<Record<string, Entry<unknown>>> {
  const all = Object.entries(table) as [name: string, Entry<unknown> | Excluded][];
  return Object.fromEntries(all.flatMap(([name, entry]) => ("kind" in entry ? [[name, entry]] : [])));
}

function refuseExcluded<Options>(table: Table<Options>, name: string, option: string): void {
  const entry = Object.hasOwn(table, name) ? table[name as keyof Options] : undefined;
  if (entry === undefined || "kind" in entry) return;
  const message = `${option}: cannot stand in a configuration: ${entry.excluded}`;
  throw new InvalidOptionError({ option, expected: "nothing", received: undefined, message });
}
