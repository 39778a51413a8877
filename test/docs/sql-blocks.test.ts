// The SQL on the pages runs, each block in a transaction that is taken back.
import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { type Block, blocksOf, userPages } from "../support/pages.js";

/** What the pages take for granted. */
const tables = `
  create table accounts (id bigint primary key, balance bigint not null, fence bigint not null default 0);
  create table orders (id bigint primary key, state text not null);
  create table reports (day date primary key, visits integer not null)`;

const blocks = userPages()
  .flatMap(blocksOf)
  .filter(({ language }) => language === "sql");
const database = await createDatabase();
await database.sql.unsafe(tables);

test.each(blocks.map((block) => [`${block.page}:${block.line}`, block] as const))(
  "%s runs",
  async (_, { text }: Block) => {
    class TakenBack extends Error {}
    const run = database.sql.begin(async (tx) => {
      await tx.unsafe(text);
      throw new TakenBack();
    });
    await expect(run).rejects.toBeInstanceOf(TakenBack);
  },
);
