// docs/guides/configuration.md: its file, its errors and its table of variables.
import { Ajv2020 } from "ajv/dist/2020.js";
import { expect, test } from "vitest";
import { parseConfig } from "../../../src/config.js";
import { configSchema } from "../../../src/config-file/config-schema.js";
import { variables } from "../../../src/config-file/variables.js";
import { blocksOf, readPage } from "../../support/pages.js";

const page = readPage("docs/guides/configuration.md");
const blocks = blocksOf(page);

test("its file is one by parseConfig, and by the schema", () => {
  const files = blocks.filter(({ language }) => language === "json").map(({ text }) => JSON.parse(text));
  expect(files.length).toBeGreaterThan(0);
  const isValid = new Ajv2020({ allowUnionTypes: true }).compile(configSchema());
  for (const file of files) {
    expect(Object.keys(parseConfig(file))).toHaveLength(Object.keys(file).length - 1); // without $schema
    expect(isValid(file)).toBe(true);
  }
});

test("its errors are those that come", () => {
  const calls = blocks.flatMap(({ text }) => [...text.matchAll(/^parseConfig\((.*)\); \/\/ (.*?)(?:, \.\.\.)?$/gm)]);
  expect(calls).toHaveLength(4);
  for (const [, value = "", message = ""] of calls) {
    const config: unknown = JSON.parse(value.replaceAll(/(\w+):/g, '"$1":'));
    expect(() => parseConfig(config)).toThrow(message);
  }
});

test("its table has every variable, with its option", () => {
  const rows = [...page.text.matchAll(/^\| `(LEASEHOLD_\w+)` \| `(\w+)` \|/gm)].map(([, variable, name]) => [
    name,
    variable,
  ]);
  expect(rows.sort()).toEqual(
    Object.entries(variables)
      .filter(([, variable]) => variable !== null)
      .sort(),
  );
});
