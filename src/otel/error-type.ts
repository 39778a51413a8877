import { LeaseholdError } from "../errors/errors.js";

/** Of few values, as the convention for `error.type` wants it: the code of an error of ours, else the name of its class. */
export function errorType(error: unknown): string {
  if (error instanceof LeaseholdError) {
    return error.code;
  }
  return error instanceof Error ? error.name : "_OTHER";
}
