import type { InstanceOptions, LockerOptions } from "../api/options.js";
import { INSTANCES_VARIABLE, readInstancesVariable } from "../config/instances-variable.js";
import { isPlainObject } from "../config/metadata.js";
import { checkInstanceName, INSTANCE_NAME } from "../config/resolve-instances.js";
import { lockerNames } from "../config/resolve-options.js";
import { InvalidOptionError } from "../errors/errors.js";
import { backend } from "./backend.js";
import type { Context, Kind, Table } from "./kind.js";
import { finite } from "./kinds.js";
import { readOptions, schemaOf } from "./table.js";

type Instances = NonNullable<LockerOptions["instances"]>;

const instance: Table<InstanceOptions> = {
  ...backend,
  weight: {
    kind: finite,
    about: "Its part of the keys; 0 or less takes it out of the routing, not out of reach. Default 1.",
  },
};

/** Several databases by name, each with options of its own. */
export const instances: Kind<Instances> = {
  schema: {
    type: "object",
    minProperties: 1,
    propertyNames: { pattern: INSTANCE_NAME.source },
    additionalProperties: schemaOf(instance),
  },
  read(value, path, context) {
    const entries = isPlainObject(value) ? Object.entries(value) : [];
    if (entries.length === 0) {
      const expected = "an object with at least one instance, such as { east: { url }, west: { url } }";
      throw new InvalidOptionError({ option: path, expected, received: value });
    }
    return Object.fromEntries(entries.map(([name, one]) => [name, readInstance(path, name, one, context)]));
  },
  fromText: readInstancesVariable,
};

/** What LEASEHOLD_INSTANCES says. @throws InvalidOptionError */
export function instancesFromVariable(text: string): Instances {
  return instances.read(readInstancesVariable(text), INSTANCES_VARIABLE, { stores: {} });
}

function readInstance(path: string, name: string, value: unknown, context: Context): InstanceOptions {
  checkInstanceName(path, name);
  const place = `${path}.${name}`;
  const names = isPlainObject(value) ? Object.keys(value) : [];
  const common = names.find((one) => !Object.hasOwn(instance, one) && Object.hasOwn(lockerNames, one));
  if (common === undefined) return readOptions(instance, value, place, context);
  const option = `${place}.${common}`;
  const message = `${option}: expected it to stand beside instances: it is the same for all of them`;
  throw new InvalidOptionError({ option, expected: "nothing", received: undefined, message });
}
