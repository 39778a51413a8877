import { InvalidOptionError } from "../errors/errors.js";
import { quote } from "../runtime/describe.js";

/** What `on(name)` throws, and what names an instance as the option `option`. */
export function unknownInstance(name: unknown, known: readonly string[], option = "instance"): InvalidOptionError {
  const expected =
    known.length === 0
      ? "no call of on(): this locker was made without the option instances"
      : `the name of an instance: ${known.map((one) => quote(one)).join(", ")}`;
  return new InvalidOptionError({ option, expected, received: name });
}
