import type { BackendOptions, InstanceOptions, LockerOptions } from "../api/options.js";
import { InvalidOptionError } from "../errors/errors.js";
import { checkNames } from "../errors/option-checks.js";
import { reworded } from "../errors/reworded.js";
import { quote } from "../runtime/describe.js";
import { backendNames, lockerNames, type ResolvedLockerOptions, resolveLockerOptions } from "./resolve-options.js";
import { isFromEnvironment } from "./resolve-targets.js";

/** One of several databases, with the options of a locker over it alone. */
export interface ResolvedInstance {
  readonly name: string;
  /** 0 or less: no key is routed to it. */
  readonly weight: number;
  readonly options: ResolvedLockerOptions;
}

type Given = Readonly<Record<string, unknown>>;
type Environment = Readonly<Record<string, string | undefined>>;

const instanceNames: { readonly [Name in keyof InstanceOptions]-?: true } = { ...backendNames, weight: true };

/** Those that say where the database is. An instance that has one of them takes none from the options that all share. */
const addressNames = ["url", "directUrl", "client"] as const satisfies readonly (keyof BackendOptions)[];
const connectionAddressNames = ["host", "port", "path"] as const;

/**
 * Checks the option `instances` of `createLocker`, and completes each from the options beside it. Null: there are none.
 * @throws InvalidOptionError, with the path to the option: `instances.a.url`
 */
export function resolveInstances(
  options: LockerOptions,
  env: Environment = process.env,
): readonly ResolvedInstance[] | null {
  const { instances, ...shared } = (options ?? {}) as Given;
  if (instances === undefined) {
    return null;
  }
  // What is wrong with these is not the fault of an instance.
  resolveLockerOptions(shared, env);
  const resolved = entriesOf(instances).map(([name, value]) => resolveInstance(name, value, shared, env));
  if (!resolved.some(({ weight }) => weight > 0)) {
    const expected = "at least one instance with a weight above 0, to which keys can be routed";
    throw new InvalidOptionError({ option: "instances", expected, received: instances });
  }
  refuseSameDatabase(resolved);
  return resolved;
}

function entriesOf(instances: unknown): [name: string, value: unknown][] {
  const entries = isObject(instances) ? Object.entries(instances) : [];
  if (entries.length === 0) {
    const expected = "an object with at least one instance, such as { east: { url }, west: { url } }";
    throw new InvalidOptionError({ option: "instances", expected, received: instances });
  }
  for (const [name] of entries) {
    checkInstanceName("instances", name);
  }
  return entries;
}

export const INSTANCE_NAME: RegExp = /^[A-Za-z0-9_-]{1,63}$/;

/** @throws InvalidOptionError */
export function checkInstanceName(option: string, name: string): void {
  if (!INSTANCE_NAME.test(name)) {
    const expected = "names of 1 to 63 letters, digits, - and _";
    const message = `${option}: expected ${expected}, got ${quote(name)}`;
    throw new InvalidOptionError({ option, expected, received: name, message });
  }
}

interface Instance extends ResolvedInstance {
  /** Whether only the environment says where it is. */
  readonly isFromEnv: boolean;
}

function resolveInstance(name: string, value: unknown, shared: Given, env: Environment): Instance {
  const path = `instances.${name}`;
  if (!isObject(value)) {
    throw new InvalidOptionError({ option: path, expected: "an object such as { url }", received: value });
  }
  const common = Object.keys(value).find(
    (option) => !Object.hasOwn(instanceNames, option) && Object.hasOwn(lockerNames, option),
  );
  if (common !== undefined) {
    const expected = "it to stand beside instances: it is the same for all of them";
    throw new InvalidOptionError({ option: `${path}.${common}`, expected, received: value[common] });
  }
  return at(path, () => {
    const { weight = 1, ...own } = checkNames("the options of an instance", value, Object.keys(instanceNames));
    if (typeof weight !== "number" || !Number.isFinite(weight)) {
      throw new InvalidOptionError({ option: "weight", expected: "a finite number", received: weight });
    }
    const complete = completed(own, shared);
    const options = resolveLockerOptions(complete, env, name);
    const isFromEnv = isFromEnvironment({ ...options, url: complete.url });
    // What the environment has to say is read at the first use.
    return { name, weight, options: { ...options, targets: () => at(path, options.targets) }, isFromEnv };
  });
}

/** The options of the instance, and those of all that it has not. */
function completed(own: Given, shared: Given): Given {
  const ownConnection = isObject(own.connection) ? own.connection : {};
  const hasAddress =
    addressNames.some((name) => own[name] !== undefined) ||
    connectionAddressNames.some((name) => ownConnection[name] !== undefined);
  const inherited = hasAddress ? without(shared, addressNames) : shared;
  const isConnectionOdd = own.connection !== undefined && !isObject(own.connection);
  return {
    ...inherited,
    ...given(own),
    ...(isConnectionOdd ? {} : { connection: connectionOf(shared.connection, ownConnection, hasAddress) }),
  };
}

function connectionOf(shared: unknown, own: Given, hasAddress: boolean): Given {
  const inherited = isObject(shared) ? shared : {};
  return { ...(hasAddress ? without(inherited, connectionAddressNames) : inherited), ...given(own) };
}

function given(options: Given): Given {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function without(options: Given, names: readonly string[]): Given {
  return Object.fromEntries(Object.entries(options).filter(([name]) => !names.includes(name)));
}

/** Names the instance in what the work throws. */
function at<Value>(path: string, work: () => Value): Value {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof InvalidOptionError)) {
      throw error;
    }
    const { option, message } = error;
    const isVariable = /^[A-Z_]+$/.test(option);
    const text = isVariable || !message.startsWith(option) ? `${path}: ${message}` : `${path}.${message}`;
    throw reworded(error, text, isVariable ? {} : { option: `${path}.${option}` });
  }
}

/**
 * Finds what was copied and not changed. Two addresses of one database are not recognised, nor is one that comes from the environment beside one that
 * does not.
 */
function refuseSameDatabase(instances: readonly Instance[]): void {
  const found = new Map<unknown, string>();
  for (const { name, ...instance } of instances) {
    const database = databaseOf(instance);
    const other = found.get(database.id);
    if (other !== undefined) {
      const expected = `another database than that of instance ${quote(other)}`;
      const message = `instances.${name}: expected ${expected}: both are ${database.text}`;
      throw new InvalidOptionError({ option: `instances.${name}`, expected, received: undefined, message });
    }
    if (database.id !== null) found.set(database.id, name);
  }
}

/** `id` null: it cannot be told. */
function databaseOf({ options, isFromEnv }: Pick<Instance, "options" | "isFromEnv">): { id: unknown; text: string } {
  const { store, client, connection, targets } = options;
  if (store !== "postgres") return { id: null, text: "" };
  if (isFromEnv) return { id: `environment/${connection.database ?? ""}`, text: "what the environment names" };
  const { target, directTarget } = targets();
  const direct = directTarget ?? target;
  if (direct === null) return { id: client, text: "that of the same client" };
  const { hosts, path, database } = direct;
  const where = path ?? hosts.map(({ host, port }) => `${host.toLowerCase()}:${port}`).join(",");
  return { id: JSON.stringify([where, database]), text: `${database} on ${where}` };
}

function isObject(value: unknown): value is Given {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
