// Puts faults into the functions and views of a migrated template database.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { changeUrl, openClient } from "../../../test/support/client.js";
import type { TestServer } from "../../../test/support/database.js";
import { withConstants } from "../../sql-constants.js";
import { withCounters } from "../../sql-counters.js";

/** The files whose statements can be run again over what they have made, in their order: functions, procedures and views. */
export function replaceableFiles(root: string): readonly string[] {
  return readFileSync(join(root, "src/sql/order.txt"), "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((name) => `src/sql/${name}`)
    .filter((file) => {
      const statements = readFileSync(join(root, file), "utf8").match(/^[a-z]+ [a-z]+/gm) ?? [];
      return (
        statements.some((start) => /^create (function|procedure|view)/.test(start)) &&
        !statements.some((start) => /^(create (?!function|procedure|view)|insert |alter table|do )/.test(start))
      );
    });
}

/** The statements of a file's text, so that they replace what is there. */
export function replacing(text: string): string {
  return withCounters(withConstants(text)).replace(/^create (function|procedure|view)\b/gm, "create or replace $1");
}

/** Nobody may be connected when the template is copied, so each time anew. */
export async function runInTemplate(server: TestServer, text: string): Promise<void> {
  if ("error" in server.template) throw new Error(server.template.error);
  const sql = await openClient(changeUrl(server.url, { database: server.template.name }));
  try {
    await sql.unsafe(text);
  } finally {
    await sql.end({ timeout: 5 });
  }
}
