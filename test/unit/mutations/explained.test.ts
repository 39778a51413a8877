// Each survivor that is explained is a mutation that there is: of code that has changed since, the reason may not hold any more.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { replaceableFiles } from "../../../scripts/mutations/sql/database.js";
import { explained } from "../../../scripts/mutations/sql/explained.js";
import { generate } from "../../../scripts/mutations/sql/generate.js";

const root = fileURLToPath(new URL("../../../", import.meta.url));

test("what is explained of SQL is there, once", () => {
  const ids = replaceableFiles(root).flatMap((file) =>
    generate(file, readFileSync(`${root}${file}`, "utf8")).map(({ id }) => id),
  );
  expect(ids.length).toBeGreaterThan(5_000); // it did read them
  expect([...explained.keys()].filter((id) => !ids.includes(id))).toEqual([]);
  expect(new Set(ids).size).toBe(ids.length);
});
