// A statement is converted to the encoding of the database before it is read, its comments included: what that encoding lacks is an error.
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { wholeSchema } from "../../src/cli/migration-script.js";
import { createLocker } from "../../src/index.js";
import { createEmptyDatabase } from "../support/database.js";

const folder = new URL("../../migrations/", import.meta.url);

test("migrations, and the printed script, are ASCII", async () => {
  const files = readdirSync(folder).filter((name) => name.endsWith(".sql"));
  expect(files.sort()).toEqual(["0000_tables.sql", "0001_functions.sql"]);
  const texts = [
    ...files.map((name) => ({ name, text: readFileSync(new URL(name, folder), "utf8") })),
    { name: "leasehold sql", text: (await wholeSchema()).join("\n") },
  ];
  for (const { name, text } of texts) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what ASCII is
    expect(/[^\u0000-\u007f].*/.exec(text)?.[0], name).toBeUndefined();
  }
});

test.each(["LATIN2", "EUC_JP", "KOI8R", "WIN1251"])(
  "in a database whose encoding is %s migrate() works, and locks do",
  async (encoding) => {
    await using database = await createEmptyDatabase({ encoding });
    await using locker = createLocker({ url: database.url });
    await locker.migrate();
    await using lock = await locker.acquire("encoded");
    expect(await locker.check("encoded")).toMatchObject({ fence: lock.fence });
    await lock.transaction(database.sql, async (tx) => {
      await tx`select 1`;
    });
  },
);
