import type { LeaseOptions } from "../api/options.js";
import { InvalidOptionError } from "../errors/errors.js";
import type { Kind } from "./kind.js";
import { duration, fromJson } from "./kinds.js";

type MinHold = NonNullable<LeaseOptions["minHoldMs"]>;

const one = duration(0);

/** A duration, or a pair of two, the smaller one first. */
export const minHold: Kind<MinHold> = {
  schema: { anyOf: [one.schema, { type: "array", prefixItems: [one.schema, one.schema], minItems: 2, items: false }] },
  read(value, path, context) {
    if (!Array.isArray(value)) return one.read(value, path, context);
    const [min, max] = value.map((item, index) => one.read(item, `${path}[${index}]`, context));
    if (value.length === 2 && min !== undefined && max !== undefined && min <= max) return [min, max];
    const expected = 'a duration, or a pair such as ["30s", "1m"], the smaller one first';
    throw new InvalidOptionError({ option: path, expected, received: value });
  },
  fromText: (text, variable) => (text.startsWith("[") ? fromJson(text, variable) : text),
};
