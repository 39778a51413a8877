import type { ConnectionOptions } from "../api/connection-options.js";
import type { LockerOptions } from "../api/options.js";
import { INSTANCES_VARIABLE } from "../config/instances-variable.js";
import { resolveInstances } from "../config/resolve-instances.js";
import { instancesFromVariable } from "../config-file/instances.js";
import { Router } from "../instances/router.js";
import type { Arguments } from "./arguments.js";
import { quoteArgument } from "./quote-argument.js";
import { UsageError } from "./usage-error.js";

/** Where one of several databases is. */
export interface InstanceAddress {
  readonly instance: string;
  readonly url?: string | undefined;
  readonly directUrl?: string | undefined;
  readonly connection?: ConnectionOptions | undefined;
}

interface Instances {
  readonly all: readonly (InstanceAddress & { readonly weight: number })[];
  /** Those that the command line names; all when it names none. */
  readonly selected: readonly InstanceAddress[];
  /** Whether their weights are those of the application: keys can be routed. */
  readonly hasWeights: boolean;
}

/** The instances that the command is for. Null: there is one database without a name. */
export function selectInstances(args: Arguments): readonly InstanceAddress[] | null {
  return readInstances(args)?.selected ?? null;
}

/** The one instance that the command is for, by its name or by the key. Null: there is one database without a name. */
export function selectInstance(args: Arguments, key?: string): InstanceAddress | null {
  const instances = readInstances(args);
  if (instances === null) return null;
  const { all, selected, hasWeights } = instances;
  const [first] = selected;
  if (first !== undefined && selected.length === 1) return first;
  if (key !== undefined && hasWeights && selected === all)
    return new Router(all.map((one) => ({ name: one.instance, weight: one.weight, target: one }))).of(key);
  const why = key !== undefined && !hasWeights ? `, or give them all with their weights in ${INSTANCES_VARIABLE}` : "";
  throw new UsageError(`which instance? Say --instance <name>, one of ${listed(selected)}${why}`);
}

/** @throws UsageError @throws InvalidOptionError */
function readInstances(args: Arguments): Instances | null {
  const given = args.texts("instance").map((text) => {
    const end = text.indexOf("=");
    return end < 0 ? { name: text, url: null } : { name: text.slice(0, end), url: text.slice(end + 1) };
  });
  const other = ["url", "direct-url", "embedded"].find((option) => args.has(option));
  if (other !== undefined) {
    if (given.length > 0) throw new UsageError(`--instance and --${other} exclude each other`);
    return null;
  }
  const own = given.flatMap(({ name, url }) => (url === null ? [] : [{ name, url }]));
  const names = given.filter(({ url }) => url === null).map(({ name }) => name);
  const twice = own.find(({ name }, index) => own.slice(0, index).some((one) => one.name === name));
  if (twice !== undefined)
    throw new UsageError(`--instance ${quoteArgument(twice.name)}: its address is given more than once`);
  const variable = process.env[INSTANCES_VARIABLE] || undefined;
  if (own.length === 0 && variable === undefined) {
    if (names.length === 0) return null;
    const advice = `give its address, --instance <name>=<address>, or all of them in ${INSTANCES_VARIABLE}`;
    throw new UsageError(`--instance ${quoteArgument(names[0] ?? "")}: there are no instances; ${advice}`);
  }
  const options =
    own.length > 0
      ? Object.fromEntries(own.map(({ name, url }) => [name, { url }]))
      : instancesFromVariable(variable ?? "");
  const all = check(options);
  return { all, selected: namedOf(all, names), hasWeights: own.length === 0 };
}

/** As `createLocker` would. */
function check(options: NonNullable<LockerOptions["instances"]>): Instances["all"] {
  return (resolveInstances({ instances: options }) ?? []).map(({ name, weight }) => {
    const { url, directUrl, connection } = options[name] ?? {};
    return { instance: name, weight, url, directUrl, connection };
  });
}

function namedOf(all: Instances["all"], names: readonly string[]): readonly InstanceAddress[] {
  if (names.length === 0) return all;
  const unknown = names.find((name) => !all.some(({ instance }) => instance === name));
  if (unknown !== undefined)
    throw new UsageError(`--instance ${quoteArgument(unknown)}: expected one of ${listed(all)}`);
  return all.filter(({ instance }) => names.includes(instance));
}

function listed(instances: readonly InstanceAddress[]): string {
  return instances.map(({ instance }) => instance).join(", ");
}
