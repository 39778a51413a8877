// Keeps statements of one connection in the middle of their work or in their commit, on the server, until the gate is opened.
import type { TestDatabase } from "../support/database.js";
import { until } from "../support/until.js";

export class Gate {
  readonly #database: TestDatabase;

  private constructor(database: TestDatabase) {
    this.#database = database;
  }

  /** `row`: before a row is written. `commit`: all is done and locked, and nobody else can see it yet. */
  static async build(database: TestDatabase, stage: "row" | "commit" = "row"): Promise<Gate> {
    const trigger = (table: string) =>
      stage === "row"
        ? `create trigger gate before insert or update on ${table} for each row execute function wait_at_gate();`
        : `create constraint trigger gate after insert or update on ${table} deferrable initially deferred
             for each row execute function wait_at_gate();`;
    await database.sql.unsafe(`
      create table gate (shut_for text);
      create function wait_at_gate() returns trigger language plpgsql security definer set search_path = public as $$
      begin
        while exists (select from gate where shut_for = current_setting('application_name')) loop
          perform pg_sleep(0.01);
        end loop;
        return new;
      end $$;
      ${trigger("leasehold.leases")}
      ${trigger("leasehold.sessions")}`);
    return new Gate(database);
  }

  async shut(applicationName: string): Promise<void> {
    await this.#database.sql`insert into gate values (${applicationName})`;
  }

  async open(): Promise<void> {
    await this.#database.sql`delete from gate`;
  }

  /** The backend of a statement that stands at the gate. */
  standing(applicationName: string): Promise<number> {
    return until(`a statement of "${applicationName}" is in the middle`, async () => {
      const [row] = await this.#database.sql`
        select pid from pg_stat_activity
        where datname = current_database() and application_name = ${applicationName} and state = 'active' and wait_event = 'PgSleep'`;
      return row?.pid as number | undefined;
    });
  }
}
