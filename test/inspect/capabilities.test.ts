// locker.capabilities(): what a locker over a server offers, and why or why not.
import postgres from "postgres";
import { expect, test } from "vitest";
import { type Capabilities, createLocker, type Feature, type LockerOptions } from "../../src/index.js";
import { createDatabase, createEmptyDatabase, createRole } from "../support/database.js";
import { openLocker } from "../support/lockers.js";

const database = await createDatabase();
const { sql } = database;

async function capabilities(options: LockerOptions = {}): Promise<Capabilities> {
  await using locker = createLocker({ url: database.url, ...options });
  const found = await locker.capabilities();
  expect(JSON.parse(JSON.stringify(found))).toEqual(found);
  for (const { why } of Object.values(found.features)) expect(why).not.toBe("");
  return found;
}

function isOn({ features }: Capabilities): Record<Feature, boolean> {
  return Object.fromEntries(Object.entries(features).map(([name, { isOn }]) => [name, isOn])) as Record<
    Feature,
    boolean
  >;
}

test("over a connection to Postgres itself", async () => {
  const found = await capabilities();
  const [server] = await sql`select current_setting('server_version') as version,
    current_setting('server_version_num')::int >= 170000 as "hasTransactionTimeout",
    (select max(version) from leasehold.schema_version) as schema`;
  expect(found).toMatchObject({
    serverVersion: server?.version,
    schemaVersion: server?.schema,
    presence: "on",
    fenceSource: "auto",
    commands: "direct",
  });
  expect(isOn(found)).toEqual({
    "crash-detection": true,
    queue: true,
    "wake-ups": true,
    "shared-locks": true,
    "guarded-writes": true,
    "bounded-transactions": server?.hasTransactionTimeout,
    "failover-fences": true,
    "named-statements": true,
    "force-release": true,
    durable: true,
  });
});

test("without presence: no crash is noticed, nobody is woken, and commands may go through a pooler", async () => {
  const found = await capabilities({ presence: "off" });
  expect(found).toMatchObject({ presence: "off", commands: "pooled" });
  expect(isOn(found)).toMatchObject({
    "crash-detection": false,
    queue: true,
    "wake-ups": false,
    "named-statements": false,
  });
  expect(found.features["crash-detection"].why).toContain('presence: "off"');
});

test("a direct address beside the one for commands says that those may be pooled", async () => {
  expect(await capabilities({ directUrl: database.url })).toMatchObject({ commands: "pooled" });
});

test.each([true, false])("over a given client, which prepares: %s", async (prepare) => {
  const client = postgres(database.url, { max: 1, prepare });
  try {
    const found = await capabilities({ url: undefined, client });
    expect(found.commands).toBe("given");
    expect(isOn(found)).toMatchObject({ "named-statements": prepare });
  } finally {
    await client.end();
  }
});

test("where the service hides its timeline, fences do not rise over a failover by themselves", async () => {
  await using hiding = await createDatabase();
  await hiding.sql`update leasehold.fence_epoch set source = 'manual'`;
  const found = await capabilities({ url: hiding.url });
  expect(found.fenceSource).toBe("manual");
  expect(found.features["failover-fences"]).toMatchObject({ isOn: false, why: expect.stringContaining("bump_epoch") });
});

test("a role that may only lock cannot take locks from their holders", async () => {
  const role = await createRole(database, { grantUsage: true });
  expect(isOn(await capabilities({ url: role.url }))["force-release"]).toBe(false);
  await sql`select leasehold.grant_admin(${role.name})`;
  expect(isOn(await capabilities({ url: role.url }))["force-release"]).toBe(true);
});

test("it refuses what ready() refuses", async () => {
  await using unmigrated = openLocker(await createEmptyDatabase());
  await expect(unmigrated.capabilities()).rejects.toMatchObject({ code: "not-migrated" });
  const closed = openLocker(database);
  await closed.close();
  await expect(closed.capabilities()).rejects.toMatchObject({ code: "closed" });
});
