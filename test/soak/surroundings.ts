// Where a run takes place: a database with the schema, a proxy before it, and the tables that guarded transactions write.
import { randomBytes } from "node:crypto";
import type postgres from "postgres";
import { changeUrl, openClient } from "../support/client.js";
import { type Cluster, startCluster } from "../support/cluster.js";
import { compileSources } from "../support/compiled.js";
import { createFrom } from "../support/create-database.js";
import { migrate } from "../support/migrate.js";
import { type PostgresProxy, startProxy } from "../support/proxy.js";
import { quote } from "../support/quote.js";
import { closed, opened, type Resource } from "../support/resources.js";

export interface SoakSurroundings {
  readonly url: string;
  readonly proxy: PostgresProxy;
  /** Null: the server is not ours. */
  readonly cluster: Cluster | null;
  /** Of a superuser, for looks and faults; it comes back by itself after a restart. */
  readonly sql: postgres.Sql;
  end(): Promise<void>;
}

/** A checkpoint writes whole pages into the write-ahead log: often enough, that is the same in every part of a run. */
const settings = { max_connections: 100, checkpoint_timeout: "1min" };

/** `url`: of a server that is there already. */
export async function prepare(url: string | null, accounts: number): Promise<SoakSurroundings> {
  const ends: (() => Promise<void>)[] = [];
  const end = async (): Promise<void> => {
    for (const one of ends.splice(0).reverse()) await one();
  };
  try {
    ends.push(await compileOnce());
    const cluster = url === null ? await startCluster({ settings }) : null;
    if (cluster !== null) ends.push(() => cluster.destroy());
    const own = cluster?.url ?? (await createDatabase(url as string, ends));
    const sql = cluster === null ? await openClient(own) : await cluster.sql();
    if (cluster === null) ends.push(() => sql.end({ timeout: 0 }));
    await migrate(own);
    await sql`create table accounts (id int primary key, value int not null default 0, fence bigint not null default 0) with (fillfactor = 50)`;
    await sql`insert into accounts (id) select n from generate_series(0, ${accounts - 1}::int) n`;
    await sql`create table floors (name text primary key, value int not null default 0) with (fillfactor = 50)`;
    const proxy = await startProxy(own);
    ends.push(() => proxy.close());
    return { url: own, proxy, cluster, sql, end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** For the workers, unless a run of tests has done it. */
async function compileOnce(): Promise<() => Promise<void>> {
  if (process.env.LEASEHOLD_TEST_COMPILED !== undefined) return async () => {};
  return asResource("compiled sources", await compileSources());
}

async function createDatabase(server: string, ends: (() => Promise<void>)[]): Promise<string> {
  const name = `leasehold_soak_${randomBytes(5).toString("hex")}`;
  await createFrom(server, name, "template0");
  const drop = asResource(`database ${name}`, async () => {
    const admin = await openClient(server);
    try {
      await admin.unsafe(`drop database if exists ${quote(name)} with (force)`);
    } finally {
      await admin.end({ timeout: 1 });
    }
  });
  ends.push(drop);
  return changeUrl(server, { database: name });
}

/** Also when the run is interrupted. */
function asResource(name: string, remove: () => Promise<void>): () => Promise<void> {
  const resource: Resource = {
    name,
    async dispose() {
      closed(resource);
      await remove();
    },
  };
  opened(resource);
  return () => resource.dispose();
}
