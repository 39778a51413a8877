// The transcripts of docs/reference/sql-api.md, word for word.
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { createDatabase, createRole } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { until } from "../support/until.js";
import { type Console, findPsql, Psql, StandIn } from "./psql.js";
import { plain, readTranscript, Tokens } from "./transcript.js";

const psql = await findPsql();
if (psql === undefined) console.warn("[tests] !!! NO psql: the transcripts are run without it");

const ways: readonly { readonly name: string; open(url: string): Promise<Console> }[] = [
  { name: "over a connection in its place", open: (url) => StandIn.open(url) },
  ...(psql === undefined ? [] : [{ name: "by psql itself", open: async (url: string) => new Psql(psql, url) }]),
];
const runs = ["docs/reference/sql-api.md"].flatMap((page) => ways.map(({ name, open }) => [page, name, open] as const));

test.each(runs)("%s shows what happens, %s", async (name, _, open) => {
  const database = await createDatabase();
  const { sql } = database;
  const app = await createRole(database, { grantUsage: true });
  await sql.unsafe(
    `create table reports (day date primary key, visits integer not null); grant insert on reports to "${app.name}"`,
  );
  const consoles = new Map<string, Console>();
  const consoleOf = async (who: string): Promise<Console> => {
    const console = consoles.get(who) ?? (await open(who === "admin" ? database.url : app.url));
    consoles.set(who, console);
    return console;
  };
  const tokens = new Tokens();
  const transcript = readTranscript(await readFile(new URL(`../../${name}`, import.meta.url), "utf8"));
  expect(transcript.length).toBeGreaterThan(1);

  for (const { who, input, output } of transcript) {
    const console = await consoleOf(who);
    if (input === "\\q") {
      const [attached] = await sql`select pid from leasehold.sessions where owner = ${who}`;
      await console.end();
      consoles.delete(who);
      await until(
        "its connection is gone",
        async () => (await sql`select from pg_stat_activity where pid = ${attached?.pid}`).length === 0,
      );
      continue;
    }
    const answer = await console.type(tokens.actual(input));
    tokens.learn(output, answer);
    expect(plain(answer), input).toEqual(plain(tokens.actual(output)));
  }

  for (const console of consoles.values()) await console.end();
  expectLeft(database, "sessions", "shares");
});
