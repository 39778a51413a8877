// A schema that was restored without its data (pg_dump --schema-only, structure.sql): everything is there but the rows.
import { expect, test } from "vitest";
import type { NotMigratedError } from "../../src/index.js";
import { findPrograms, inside, replay } from "../fences/dumps.js";
import { changeUrl } from "../support/client.js";
import { type Cluster, startCluster } from "../support/cluster.js";
import { createFrom } from "../support/create-database.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { migrate } from "../support/migrate.js";

const programs = await findPrograms();
if (programs === undefined) console.warn("[tests] !!! NO Postgres with pg_dump AND pg_restore: they are NOT tested");

test.each([replay, ...(programs === undefined ? [] : [programs])])(
  "it is refused by name, by the client and in SQL, and migrate() mends it: $name",
  async (dumper) => {
    await using cluster: Cluster = await startCluster(dumper.binaries && { binaries: dumper.binaries });
    const [from, to] = ["origin", "copy"].map((database) => changeUrl(cluster.url, { database })) as [string, string];
    await createFrom(cluster.url, "origin", "template0");
    await createFrom(cluster.url, "copy", "template0");
    await migrate(from);
    await (await dumper.dump(from)).restore(to, "schema only");

    const refusal: Partial<NotMigratedError> = {
      code: "not-migrated",
      found: null,
      message: expect.stringContaining("without its data"),
    };
    for (const presence of ["on", "off"] as const) {
      await using locker = openLocker(to, { presence });
      await expect(locker.ready()).rejects.toMatchObject(refusal);
      await expect(locker.acquire("a")).rejects.toMatchObject(refusal);
    }
    await inside(to, async (sql) => {
      const functions = ["try_acquire('a')", "bump_epoch()", "sweep()", "check_fence('r', 1)"];
      for (const call of [...functions.map((one) => `select leasehold.${one}`), "call leasehold.acquire('a')"]) {
        await expect(sql.unsafe(call), call).rejects.toMatchObject({
          code: "LH008",
          hint: expect.stringContaining("leasehold migrate"),
        });
      }
    });

    await Promise.all([migrate(to), migrate(to)]);
    const rows = (url: string) =>
      inside(url, async (sql) => [
        await sql`select hash, created_at from leasehold.migrations order by id`,
        await sql`select version, min_client from leasehold.schema_version`,
        await sql`select system_identifier, base, top, source from leasehold.fence_epoch`,
        await sql`select after_key from leasehold.sweeper`,
      ]);
    expect(await rows(to)).toEqual(await rows(from));
    await using locker = openLocker(to);
    await locker.withLock("a", ({ held }) => expect(held).toBe(true));
  },
  120_000,
);

test.each(["fence_epoch", "sweeper", "schema_version"])(
  "the rows of %s alone are missed, and come back",
  async (table) => {
    await using database = await createDatabase();
    const { sql, url } = database;
    await sql.unsafe(`delete from leasehold.${table}`);
    await using locker = openLocker(database);
    await expect(locker.ready()).rejects.toMatchObject({ code: "not-migrated" });
    await migrate(url);
    await locker.withLock("a", ({ held }) => expect(held).toBe(true));
  },
);

test("where leases were kept and the epoch was not, it starts above their fences", async () => {
  await using database = await createDatabase();
  const { sql, url } = database;
  const old = (5n << 48n) + 7n;
  await sql`insert into leasehold.leases (key, fence, ttl_ms, released_at) values ('old', ${String(old)}::bigint, 0, now())`;
  await sql`delete from leasehold.fence_epoch`;
  await migrate(url);
  await using locker = openLocker(database);
  expect(await locker.withLock("new", ({ fence }) => fence)).toBeGreaterThan(old);
  expect((await sql`select base::int, top::int, epoch::int from leasehold.fence_epoch`)[0]).toEqual({
    base: 6,
    top: 6,
    epoch: 6,
  });
});
