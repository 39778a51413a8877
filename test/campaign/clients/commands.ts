// How the clients in other languages are started. Undefined: what one needs is not installed.
import { fileURLToPath } from "node:url";
import { findPsql } from "../../sql-api/psql.js";
import { nodeArguments } from "../../support/compiled.js";
import { findPython } from "../../support/python.js";
import type { SqlClientArgs } from "./arguments.js";

export type Command = readonly [program: string, ...args: string[]];

const root = fileURLToPath(new URL("../../../", import.meta.url));

export async function pythonCommand(args: SqlClientArgs): Promise<Command | undefined> {
  const python = await findPython();
  return python === undefined ? undefined : [python, `${root}test/campaign/clients/worker.py`, JSON.stringify(args)];
}

/** A program of Node, which ends when the psql ends that it feeds. */
export async function psqlCommand(args: SqlClientArgs): Promise<Command | undefined> {
  const psql = await findPsql();
  if (psql === undefined) return undefined;
  return [process.execPath, ...nodeArguments("test/campaign/clients/psql-worker.ts"), psql, JSON.stringify(args)];
}
