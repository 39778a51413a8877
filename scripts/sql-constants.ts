import { readdirSync, readFileSync } from "node:fs";
import { keySeed, maintenanceClass, presenceClass } from "../src/postgres/schema/advisory-locks.js";

const folder = new URL("../src/sql/parts/", import.meta.url);

/** What several functions have in common: the files of src/sql/parts without their comments. */
const parts = readdirSync(folder).map((name): [string, string] => {
  const text = readFileSync(new URL(name, folder), "utf8");
  return [name.replace(/\.sql$/, ""), text.replace(/^--.*\n/gm, "").trim()];
});

const constants: Readonly<Record<string, string>> = {
  presence_class: String(presenceClass),
  key_seed: String(keySeed),
  maintenance_class: String(maintenanceClass),
  ...Object.fromEntries(parts),
};

/**
 * A text of src/sql with numbers and parts in place of names such as `:presence_class`, as psql writes its variables.
 *
 * When the migrations are built, for then they cost nothing at run time and need no right. An immutable function would be
 * folded into the plan, but each session plans each statement anew (and a plan that is made for every call calls it each time),
 * and whoever reads a view that calls it must be allowed to execute it.
 */
export function withConstants(text: string): string {
  const names = Object.keys(constants).join("|");
  // not the second colon of a cast, nor that of a slice, whose bound is no such name
  return text.replace(new RegExp(`(?<![:\\w]):(${names})\\b`, "g"), (_, name: string, at: number) => {
    const indent = " ".repeat(at - text.lastIndexOf("\n", at) - 1);
    return withConstants(constants[name] ?? "").replaceAll("\n", `\n${indent}`);
  });
}
