// What stands in for a Prisma client, which cannot be installed everywhere: its shape, laziness and errors, over node-postgres.
// The real one is tried by `npm run check:prisma`.
import pg from "pg";

type Options = { readonly isolationLevel?: "Serializable"; readonly maxWait?: number; readonly timeout?: number };

/** As `prisma generate` writes it, but for the models. */
export interface PrismaClient {
  $transaction<P extends Promise<unknown>[]>(arg: [...P], options?: Options): Promise<unknown[]>;
  $transaction<R>(
    fn: (prisma: Omit<PrismaClient, "$connect" | "$disconnect">) => Promise<R>,
    options?: Options,
  ): Promise<R>;
  $queryRawUnsafe<T = unknown>(query: string): PromiseLike<T>;
  $executeRawUnsafe(query: string): PromiseLike<number>;
  $connect(): Promise<void>;
  $disconnect(): Promise<void>;
}

export function makePrismaClient(config: pg.PoolConfig): PrismaClient {
  const pool = new pg.Pool(config);
  const root = {
    _activeProvider: "postgresql",
    ...rawQueries(pool),
    $connect: async () => undefined,
    $disconnect: () => pool.end(),
    $transaction: async (body: (tx: object) => Promise<unknown>, options: Options = {}) => {
      const client = await pool.connect();
      client.on("error", ignore);
      try {
        await client.query(`begin ${options.isolationLevel ? "isolation level serializable" : ""}`);
        const value = await body(transaction(client, 0));
        await client.query("commit");
        return value;
      } catch (error) {
        await client.query("rollback").catch(ignore);
        throw error;
      } finally {
        client.off("error", ignore);
        client.release();
      }
    },
  };
  return root as unknown as PrismaClient;
}

function transaction(client: pg.PoolClient, depth: number): object {
  return {
    ...rawQueries(client),
    $transaction: async (body: (tx: object) => Promise<unknown>) => {
      await client.query(`savepoint prisma_sp_${depth}`);
      try {
        const value = await body(transaction(client, depth + 1));
        await client.query(`release savepoint prisma_sp_${depth}`);
        return value;
      } catch (error) {
        await client.query(`rollback to savepoint prisma_sp_${depth}`);
        throw error;
      }
    },
  };
}

/** One statement after the other, and none before somebody waits for it. */
function rawQueries(client: pg.Pool | pg.PoolClient): object {
  let last: Promise<unknown> = Promise.resolve();
  const lazily = <T>(text: string, read: (result: pg.QueryResult) => T): PromiseLike<T> => {
    let sent: Promise<T> | undefined;
    const send = () => {
      // the extended protocol: no two statements in one
      const query = { text, queryMode: "extended" } as pg.QueryConfig;
      const answer = last.then(async () => read(await client.query(query).catch(refuse)));
      last = answer.catch(ignore);
      return answer;
    };
    return {
      // biome-ignore lint/suspicious/noThenProperty: that is what a PrismaPromise is
      then: (...handlers) => {
        sent ??= send();
        return sent.then(...handlers);
      },
    };
  };
  return {
    $queryRawUnsafe: (text: string) => lazily(text, ({ rows }) => rows),
    $executeRawUnsafe: (text: string) => lazily(text, ({ rowCount }) => rowCount ?? 0),
  };
}

function refuse(error: pg.DatabaseError): never {
  const cause = { kind: "postgres", code: error.code, originalCode: error.code, originalMessage: error.message };
  const driverAdapterError = new Error("DatabaseError", { cause });
  throw Object.assign(new Error("Raw query failed"), { code: "P2010", meta: { driverAdapterError } });
}

function ignore(): void {}
