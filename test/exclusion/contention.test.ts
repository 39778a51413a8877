import { beforeAll, expect, test } from "vitest";
import { startWorker } from "../support/child.js";
import { createDatabase, type TestDatabase } from "../support/database.js";
import { poolerKind } from "../support/pooler.js";
import type { Contention } from "./contender.js";

const FOR_MS = process.env.LEASEHOLD_LONG ? 8_000 : 3_000;
const file = new URL("./contender.ts", import.meta.url);

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
  // The tables are what Postgres saw of the holders; the trigger, what it saw of the lease itself.
  await database.sql.unsafe(`
    create table public.inside (key text primary key, fence bigint not null);
    create table public.entered (place bigint generated always as identity, key text, fence bigint);
    create table public.granted (
      place bigint generated always as identity, key text, fence bigint, fence_before bigint, was_held boolean);
    create function public.witness() returns trigger language plpgsql security definer as $$
    begin
      if new.token is not null and new.token is distinct from old.token then
        insert into public.granted (key, fence, fence_before, was_held)
        values (new.key, new.fence, old.fence, old.token is not null and old.expires_at > clock_timestamp());
      end if;
      return null;
    end $$;
    create trigger witness after update on leasehold.leases for each row execute function public.witness();
  `);
});

test.for([
  ["some wait in the queue", true],
  ["all only try", false],
] as const)("24 connections on one key, %s: no double grant, no fence inversion", async ([, waits]) => {
  const { sql } = database;
  await sql`truncate public.granted, public.entered`;
  const options = { url: database.url, ttlMs: 30_000 };
  await using a = await startWorker(file, options);
  await using b = await startWorker(file, options);
  await using c = await startWorker(file, options);
  await using d = await startWorker(file, options);
  const processes = [a, b, c, d];

  const counts = processes.map((process) =>
    process.request<Contention>(
      "contend",
      { key: "hot", forMs: FOR_MS, waits, flows: 3 },
      { timeoutMs: FOR_MS + 50_000 },
    ),
  );
  const seen = await Promise.all(counts);
  const [connections] = await sql`
    select count(*)::int as n from pg_stat_activity where datname = current_database() and application_name like 'leasehold%'`;
  await Promise.all(processes.map((process) => process.request("close")));

  // a session, a connection for commands and one for renewals each; Pgpool-II keeps those of clients that are gone, too
  if (poolerKind() === undefined) expect(connections?.n).toBe(24);
  const grants = seen.reduce((sum, { grants }) => sum + grants, 0);
  expect(seen.every(({ tries }) => tries > 0)).toBe(true);
  expect(seen.some(({ renewals }) => renewals > 0)).toBe(true);
  expect(grants).toBeGreaterThan(2);

  expect(await sql`select * from public.granted where was_held`).toEqual([]);
  expect(await sql`select * from public.granted where fence <= fence_before`).toEqual([]);
  const entered = await sql<{ fence: string }[]>`select fence::text from public.entered order by place`;
  const fences = entered.map(({ fence }) => BigInt(fence));
  expect(fences).toHaveLength(grants);
  expect(fences.filter((fence, index) => index > 0 && fence <= (fences[index - 1] ?? 0n))).toEqual([]);
  expect(await sql`select * from public.inside`).toEqual([]);
});
