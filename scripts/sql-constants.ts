import { keySeed, maintenanceClass, presenceClass } from "../src/postgres/schema/advisory-locks.js";

const constants: Readonly<Record<string, number>> = {
  presence_class: presenceClass,
  key_seed: keySeed,
  maintenance_class: maintenanceClass,
};

/**
 * A text of src/sql with numbers in place of names such as `:presence_class`, as psql writes its variables.
 *
 * When the migrations are built, for then they cost nothing at run time and need no right. An immutable function would be
 * folded into the plan, but each session plans each statement anew (and a plan that is made for every call calls it each time),
 * and whoever reads a view that calls it must be allowed to execute it.
 */
export function withConstants(text: string): string {
  const names = Object.keys(constants).join("|");
  // not the second colon of a cast, nor that of a slice, whose bound is no such name
  return text.replace(new RegExp(`(?<![:\\w]):(${names})\\b`, "g"), (_, name: string) => String(constants[name]));
}
