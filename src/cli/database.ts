import { reworded } from "../errors/reworded.js";
import type { ConnectOptions, Hello } from "../postgres/connection/connect.js";
import type { Parameter, Row } from "../postgres/connection/link.js";
import { Queries, type Right } from "../postgres/connection/queries.js";
import { type Address, describeTarget, directTarget, findAddress, findAddresses } from "./address.js";
import type { Arguments } from "./arguments.js";
import { printError } from "./output.js";

/** What one of the databases has answered. `instance` null: there is one, without a name. */
export interface Answer<Value> {
  readonly instance: string | null;
  readonly value: Value;
}

type Precautions = Pick<ConnectOptions, "trustsOwners" | "acceptsMissing">;

/** One connection to an address of the command line, for queries. */
export class Database {
  readonly #queries: Queries;
  readonly address: Address;
  /** Host, database and role, for people to read. */
  readonly name: string;

  private constructor(queries: Queries, address: Address, name: string) {
    this.#queries = queries;
    this.address = address;
    this.name = name;
  }

  /** Closes the address with itself. @throws UnavailableError, UnsafeBackendError */
  static async open(address: Address, how: Precautions = {}): Promise<Database> {
    try {
      const target = directTarget(address);
      const queries = await Queries.open({ target, applicationName: "leasehold command line", ...how });
      return new Database(queries, address, describeTarget(target));
    } catch (error) {
      await address.close();
      throw error;
    }
  }

  get hello(): Hello {
    return this.#queries.hello;
  }

  /** `right`: what a role needs for this, one of the rights that `leasehold.grant_...` gives. */
  query(text: string, parameters?: readonly Parameter[], right?: Right): Promise<readonly Row[]> {
    return this.#queries.query(text, parameters, right);
  }

  async close(): Promise<void> {
    await this.#queries.close();
    await this.address.close();
  }
}

/**
 * Opens the database while the body runs. `trustsOwners`: the body itself checks who owns the schemas. `acceptsMissing`: the body calls
 * nothing in the schemas when `hello.hasSchemas` is false. `key`: the one that it is about, which chooses the instance.
 */
export async function withDatabase<Value>(
  args: Arguments,
  body: (database: Database) => Promise<Value>,
  { key, ...how }: Precautions & { readonly key?: string } = {},
): Promise<Value> {
  return await withDatabaseAt(await findAddress(args, key), body, how);
}

async function withDatabaseAt<Value>(
  address: Address,
  body: (database: Database) => Promise<Value>,
  how: Precautions,
): Promise<Value> {
  const database = await Database.open(address, how);
  try {
    return await body(database);
  } finally {
    await database.close();
  }
}

/**
 * Runs the body for each instance, or for the one database where there are none. What cannot be asked of one is told on standard error, and
 * ends nothing on the others: `isComplete` is false then.
 * @throws what could not be asked, when no instance has answered
 */
export async function withDatabases<Value>(
  args: Arguments,
  command: string,
  body: (database: Database) => Promise<Value>,
  how: Precautions = {},
): Promise<{ readonly answers: readonly Answer<Value>[]; readonly isComplete: boolean }> {
  const addresses = await findAddresses(args);
  const results = await Promise.allSettled(addresses.map((address) => withDatabaseAt(address, body, how)));
  const answers: Answer<Value>[] = [];
  const failures: unknown[] = [];
  for (const [index, result] of results.entries()) {
    const instance = addresses[index]?.instance ?? null;
    if (result.status === "fulfilled") answers.push({ instance, value: result.value });
    else failures.push(ofInstance(instance, result.reason));
  }
  const thrown = answers.length === 0 ? [failures.pop()] : [];
  for (const failure of failures) printError(`leasehold ${command}`, failure, args.has("json"));
  if (thrown.length > 0) throw thrown[0];
  return { answers, isComplete: failures.length === 0 };
}

function ofInstance(instance: string | null, error: unknown): unknown {
  return error instanceof Error && instance !== null
    ? reworded(error, `instance ${instance}: ${error.message}`)
    : error;
}
