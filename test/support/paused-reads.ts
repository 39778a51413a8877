// Stops a function of the database in its middle: where it reads `leasehold.sessions`, checks its terms, or tells a moment.
import type postgres from "postgres";
import { until } from "./until.js";

export interface PausedReads extends AsyncDisposable {
  /** Until a reader has its value and stands still. */
  reached(): Promise<void>;
  /** Lets it go on, and all that come later. */
  goOn(): Promise<void>;
}

/** From now on whoever reads this column of `leasehold.sessions` waits, with what it has read, until `goOn`. */
export async function pauseReads(sql: postgres.Sql, column: "nonce" | "seen_at"): Promise<PausedReads> {
  const columns = await sql<{ name: string }[]>`
    select attname as name from pg_attribute where attrelid = 'leasehold.sessions'::regclass and attnum > 0 and not attisdropped
     order by attnum`;
  const list = columns.map(({ name }) => (name === column ? `public.pause(${name}) as ${name}` : name));
  await sql.unsafe(`
    ${gate}
    alter table leasehold.sessions rename to real_sessions;
    create view leasehold.sessions as select ${list.join(", ")} from leasehold.real_sessions;`);
  return paused(
    sql,
    `drop view leasehold.sessions;
     alter table leasehold.real_sessions rename to sessions;`,
  );
}

/** From now on this server process waits where it checks the terms of an acquire, before all else, until `goOn`. */
export async function pauseChecks(sql: postgres.Sql, pid: number): Promise<PausedReads> {
  await sql.unsafe(`
    ${gate}
    alter function leasehold_internal._are_terms_valid(text, integer, integer, bigint, text) rename to _real_are_terms_valid;
    create function leasehold_internal._are_terms_valid(text, integer, integer, bigint, text) returns boolean language plpgsql volatile as $$
    begin
      return leasehold_internal._real_are_terms_valid($1, $2, $3, $4, $5)
         and (pg_backend_pid() <> ${pid} or public.pause(true));
    end $$;`);
  return paused(
    sql,
    `drop function leasehold_internal._are_terms_valid(text, integer, integer, bigint, text);
     alter function leasehold_internal._real_are_terms_valid(text, integer, integer, bigint, text) rename to _are_terms_valid;`,
  );
}

/** From now on this server process waits where it tells or compares a moment, with what it has read until then, until `goOn`. */
export async function pauseMoments(sql: postgres.Sql, pid: number): Promise<PausedReads> {
  await sql.unsafe(`
    ${gate}
    alter function leasehold_internal._ms(timestamptz) rename to _real_ms;
    create function leasehold_internal._ms(timestamptz) returns float8 language plpgsql volatile as $$
    begin
      if pg_backend_pid() = ${pid} then
        perform public.pause(true);
      end if;
      return leasehold_internal._real_ms($1);
    end $$;`);
  return paused(
    sql,
    `drop function leasehold_internal._ms(timestamptz);
     alter function leasehold_internal._real_ms(timestamptz) rename to _ms;`,
  );
}

// Not by a lock, for functions that would wait for one give up soon. Each look at the gate has a snapshot of its own.
const gate = `
    create table public.gate (is_open boolean not null);
    insert into public.gate values (false);
    create function public.pause(anyelement) returns anyelement language plpgsql volatile as $$
    begin
      while not (select g.is_open from public.gate g) loop perform pg_sleep(0.01); end loop;
      return $1;
    end $$;`;

function paused(sql: postgres.Sql, undo: string): PausedReads {
  return {
    reached: async () => {
      await until("somebody stands still", async () => {
        const found = await sql`
          select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`;
        return found.length > 0;
      });
    },
    goOn: async () => void (await sql`update public.gate set is_open = true`),
    [Symbol.asyncDispose]: async () => {
      await sql.unsafe(`
        update public.gate set is_open = true;
        ${undo}
        drop function public.pause(anyelement);
        drop table public.gate;`);
    },
  };
}
