// Keeps statements of one connection in the middle of their work, on the server, until the gate is opened.
import type { TestDatabase } from "../support/database.js";
import { until } from "../support/until.js";

export class Gate {
  readonly #database: TestDatabase;

  private constructor(database: TestDatabase) {
    this.#database = database;
  }

  static async build(database: TestDatabase): Promise<Gate> {
    await database.sql.unsafe(`
      create table gate (shut_for text);
      create function wait_at_gate() returns trigger language plpgsql security definer set search_path = public as $$
      begin
        while exists (select from gate where shut_for = current_setting('application_name')) loop
          perform pg_sleep(0.01);
        end loop;
        return new;
      end $$;
      create trigger gate before insert or update on leasehold.leases for each row execute function wait_at_gate();
      create trigger gate before insert or update on leasehold.sessions for each row execute function wait_at_gate();`);
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
