import { InvalidOptionError } from "../errors/errors.js";

/** The variable of the environment that has instances. */
export const INSTANCES_VARIABLE = "LEASEHOLD_INSTANCES";

/**
 * Reads the text of LEASEHOLD_INSTANCES: a JSON object of addresses, or of objects with options, by the names of the instances. An address becomes
 * `{ url }`; the options themselves are not checked.
 * @throws InvalidOptionError that shows nothing of the text: there are passwords in it
 */
export function readInstancesVariable(text: string): Readonly<Record<string, unknown>> {
  const value = parse(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw refuse();
  }
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, typeof one === "string" ? { url: one } : one]),
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What JSON.parse throws quotes the text.
    throw refuse();
  }
}

function refuse(): InvalidOptionError {
  const expected = `a JSON object of instances, such as {"east": "postgres://...", "west": {"url": "postgres://...", "weight": 2}}`;
  const message = `${INSTANCES_VARIABLE}: expected ${expected}`;
  return new InvalidOptionError({ option: INSTANCES_VARIABLE, expected, received: undefined, message });
}
