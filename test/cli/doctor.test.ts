import { expect, test } from "vitest";
import type { Facts } from "../../src/cli/doctor/facts.js";
import { findingsIn, hasProblem } from "../../src/cli/doctor/findings.js";
import { callCli } from "../support/cli.js";
import { startCluster } from "../support/cluster.js";
import { createDatabase, createEmptyDatabase, createRole } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { findPgBouncer, startPgBouncer } from "../support/pgbouncer.js";

const database = await createDatabase();
const pgbouncer = await findPgBouncer();

const healthy: Facts = {
  client: { version: "0.1.0", runtime: "Node 20.19.0" },
  server: { version: "18.4", versionNumber: 180_004, database: "app", role: "app", isStandby: false },
  schema: { version: 1, minClient: 1, needed: 1, own: 1 },
  rights: { schemaExists: true, mayLock: true, mayLook: true, mayCreate: false },
  trust: { owner: "owner", excess: null, tokenReaders: [], strays: [], missing: [] },
  refusal: null,
  isDirect: true,
  settings: {
    fsync: "on",
    full_page_writes: "on",
    autovacuum: "on",
    synchronous_commit: "on",
    statement_timeout: "0",
    idle_session_timeout: "0",
    idle_in_transaction_session_timeout: "0",
    transaction_timeout: "0",
    log_statement: "none",
    log_min_duration_statement: "-1",
    log_parameter_max_length: "-1",
  },
  connections: { used: 10, max: 100, ofRole: -1, ofDatabase: -1 },
  replication: { standbys: 0, synchronousNames: "" },
  clock: { aheadMs: 3, uncertaintyMs: 1, stepMs: 0.2, grantAheadMs: -40_000 },
  transactions: { horizons: [], maySee: true, inactiveSlots: 0 },
  deadlocks: [],
  mixedCapacities: [],
  fences: { source: "auto", knowsCluster: true, areLeasesLogged: true, ahead: null },
};

test("a healthy set-up: everything is ok, and nothing is to be done", () => {
  const findings = findingsIn(healthy);
  expect(findings.map(({ level, advice }) => [level, advice])).toEqual(findings.map(() => ["ok", null]));
  expect(hasProblem(findings)).toBe(false);
});

const settings = (change: Record<string, string>) => ({ settings: { ...healthy.settings, ...change } });
const server = (change: Partial<Facts["server"]>) => ({ server: { ...healthy.server, ...change } });
const rights = (change: Partial<Facts["rights"]>) => ({ rights: { ...healthy.rights, ...change } });
const fences = (change: Partial<Facts["fences"]>) => ({ fences: { ...healthy.fences, ...change } });
const trust = (change: Partial<Facts["trust"]>) => ({
  trust: { owner: "owner", excess: null, tokenReaders: [], strays: [], missing: [], ...change },
});
const clock = (change: Partial<Facts["clock"]>) => ({ clock: { ...healthy.clock, ...change } });
const connections = (change: Partial<Facts["connections"]>) => ({ connections: { ...healthy.connections, ...change } });
const transactions = (change: Partial<Facts["transactions"]>) => ({
  transactions: { ...healthy.transactions, ...change },
});

const open = (change: Partial<Facts["transactions"]["horizons"][number]>) =>
  transactions({
    horizons: [
      {
        kind: "backend",
        age: 9,
        openMs: 0,
        pid: 4711,
        name: "psql",
        role: "joe",
        state: "idle in transaction",
        ...change,
      },
    ],
  });

test.each<[what: string, change: Partial<Facts>, check: string, level: string, says: RegExp]>([
  [
    "rights that nobody granted",
    trust({
      strays: ["public: EXECUTE on routine leasehold.sweep(interval,integer)", "b: x", "c: x", "d: x", "e: x", "f: x"],
    }),
    "rights",
    "problem",
    /^6 rights were given by none of .*: public: EXECUTE on routine leasehold\.sweep\(interval,integer\); .*; and 1 more\./,
  ],
  [
    "granted rights that are gone",
    trust({ missing: ["app: USAGE on schema leasehold"] }),
    "rights",
    "warning",
    /^1 right is missing/,
  ],
  ["an owner that locks", trust({ excess: "owner" }), "role", "warning", /^app owns the schemas: .*grant_usage/],
  ["a superuser that locks", trust({ excess: "superuser" }), "role", "warning", /^app is a superuser: .*grant_usage/],
  ["a member of the owner", trust({ excess: "member" }), "role", "warning", /^app is a member of owner, .*grant_usage/],
  ["others who can read tokens", trust({ tokenReaders: ["backup"] }), "tokens", "warning", /read by: backup\./],
  ["an old server", server({ versionNumber: 130_012 }), "versions", "problem", /Postgres 14 or newer/],
  [
    "a server from the future",
    server({ versionNumber: 190_000 }),
    "versions",
    "warning",
    /newer version of the package/,
  ],
  ["a standby", server({ isStandby: true }), "standby", "problem", /Connect to the primary/],
  [
    "no schema",
    { schema: null, ...rights({ schemaExists: false, mayLock: false, mayCreate: true }) },
    "schema",
    "problem",
    /leasehold migrate/,
  ],
  ["a schema without its rows", { schema: null }, "schema", "problem", /leasehold migrate/],
  [
    "an old schema",
    { schema: { version: 1, minClient: 1, needed: 2, own: 2 } },
    "schema",
    "problem",
    /leasehold migrate/,
  ],
  [
    "a schema that refuses this client",
    { schema: { version: 3, minClient: 3, needed: 1, own: 1 } },
    "schema",
    "problem",
    /Update the package/,
  ],
  [
    "no right to create the schema",
    { schema: null, ...rights({ schemaExists: false, mayLock: false }) },
    "permissions",
    "problem",
    /grant create on database "app" to "app";/,
  ],
  [
    "no right at all",
    rights({ mayLock: false, mayLook: false }),
    "permissions",
    "problem",
    /select leasehold\.grant_usage\('app'\);/,
  ],
  [
    "a role that only looks",
    rights({ mayLock: false }),
    "permissions",
    "warning",
    /select leasehold\.grant_usage\('app'\);/,
  ],
  [
    "a refusal",
    { refusal: { code: "unsafe-backend", message: "A pooler. Use directUrl." } },
    "connection",
    "problem",
    /A pooler/,
  ],
  ["fsync off", settings({ fsync: "off" }), "fsync", "problem", /Set fsync = on/],
  ["full_page_writes off", settings({ full_page_writes: "off" }), "full_page_writes", "problem", /torn pages/],
  [
    "synchronous_commit off",
    settings({ synchronous_commit: "off" }),
    "durability",
    "ok",
    /a grant raises it for itself/,
  ],
  [
    "an asynchronous standby",
    { replication: { standbys: 1, synchronousNames: "" } },
    "replication",
    "warning",
    /synchronous_standby_names/,
  ],
  [
    "a synchronous standby",
    { replication: { standbys: 1, synchronousNames: "ANY 1 (*)" } },
    "replication",
    "ok",
    /ANY 1/,
  ],
  [
    "a timeout of the role",
    settings({ idle_session_timeout: "90000" }),
    "timeouts",
    "ok",
    /idle_session_timeout = 1m30s: switched off/,
  ],
  [
    "a timeout behind a pooler",
    { isDirect: false, ...settings({ statement_timeout: "5000" }) },
    "timeouts",
    "warning",
    /Set them to 0/,
  ],
  ["few connections left", connections({ used: 85 }), "connections", "warning", /max_connections/],
  ["no connections left", connections({ used: 99 }), "connections", "problem", /max_connections/],
  ["a limit of the role", connections({ ofRole: 2 }), "connections", "problem", /connection limit/],
  ["a stepped clock", clock({ stepMs: 5_000 }), "clock", "problem", /stepped by \+5s/],
  ["a clock that was set back", clock({ grantAheadMs: 60_000 }), "clock", "problem", /1m in the future/],
  ["a clock apart from ours", clock({ aheadMs: -90_000 }), "clock", "warning", /-1m30s from this machine's/],
  ["a coarse reading is no skew", clock({ aheadMs: 1_400, uncertaintyMs: 500 }), "clock", "ok", /agrees/],
  [
    "a long transaction",
    open({ openMs: 7_200_000 }),
    "transactions",
    "warning",
    /open for 2h: server process 4711 \(psql, idle in transaction, role joe\).*pg_terminate_backend\(4711\)/,
  ],
  ["a transaction of a moment", open({ openMs: 12 }), "transactions", "ok", /No transaction/],
  [
    "a prepared transaction",
    open({ kind: "prepared-transaction", pid: null, name: "it's half", openMs: 7_200_000 }),
    "transactions",
    "warning",
    /it's half \(role joe\).*ROLLBACK PREPARED 'it''s half'/,
  ],
  [
    "a standby's query",
    open({ kind: "standby", name: "reports", openMs: null, age: 200_000 }),
    "transactions",
    "warning",
    /200000 transactions: reports.*hot_standby_feedback/,
  ],
  [
    "a slot with a snapshot",
    open({ kind: "replication-slot", name: "away", openMs: null, age: 200_000 }),
    "transactions",
    "warning",
    /away.*pg_drop_replication_slot/,
  ],
  ["a slot that nobody uses", transactions({ inactiveSlots: 1 }), "transactions", "warning", /pg_replication_slots/],
  ["transactions out of sight", transactions({ maySee: false }), "transactions", "ok", /pg_read_all_stats/],
  ["autovacuum off", settings({ autovacuum: "off" }), "autovacuum", "warning", /autovacuum = on/],
  ["statements in the log", settings({ log_statement: "all" }), "logging", "warning", /log_parameter_max_length = 0/],
  ["slow statements in the log", settings({ log_min_duration_statement: "0" }), "logging", "warning", /tokens/],
  ["fences by hand", fences({ source: "manual" }), "fences", "warning", /bump_epoch/],
  ["a cluster without a name", fences({ knowsCluster: false }), "fences", "warning", /a move to another server/],
  ["leases that a crash forgets", fences({ areLeasesLogged: false }), "fences", "problem", /set logged/],
  ["fences from elsewhere", fences({ ahead: "4711" }), "fences", "problem", /bump_epoch\(4711\)/],
  ["fences that rise", {}, "fences", "ok", /bump_epoch/],
  [
    "a deadlock",
    { deadlocks: ["a waits for k, held by b; b waits for l, held by a"] },
    "deadlocks",
    "warning",
    /a waits for k/,
  ],
  [
    "capacities that differ",
    { mixedCapacities: [{ key: "api", least: 2, most: 5 }] },
    "capacities",
    "warning",
    /api \(2 to 5\).*the same capacity/,
  ],
])("%s", (_, change, check, level, says) => {
  const findings = findingsIn({ ...healthy, ...change });
  const found = findings.filter((finding) => finding.check === check);
  expect(found.map((finding) => finding.level)).toContain(level);
  expect(found.map(({ message, advice }) => `${message} ${advice}`).join("\n")).toMatch(says);
  expect(hasProblem(findings)).toBe(findings.some((finding) => finding.level === "problem"));
});

test("statements in the log without their parameters are no reason to worry", () => {
  const findings = findingsIn({ ...healthy, ...settings({ log_statement: "all", log_parameter_max_length: "0" }) });
  expect(findings.map(({ check }) => check)).not.toContain("logging");
});

interface Report {
  readonly has_problem: boolean;
  readonly findings: readonly { check: string; level: string; message: string; advice: string | null }[];
}

async function examine(url: string): Promise<Report & { code: unknown }> {
  const { code, stdout, stderr } = await callCli(["doctor", "--json"], { url });
  expect(stderr).toBe("");
  return { code, ...(JSON.parse(stdout) as Report) };
}

test("a migrated database passes, and the report is for people", async () => {
  const { code, stdout, stderr } = await callCli(["doctor"], database);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(/^ok {7}versions +leasehold \d+\.\d+\.\d+, Node \d+\.\d+\.\d+, Postgres \d+/m);
  expect(stdout).toMatch(/^ok {7}schema +The schema has version \d+\.$/m);
  expect(stdout).toMatch(/^0 problems, \d+ warnings?$/m);
  expect(stdout).not.toContain("\u001b");
});

test("a database without the schema has a problem: exit code 1", async () => {
  await using empty = await createEmptyDatabase();
  const { code, findings, has_problem } = await examine(empty.url);
  expect({ code, has_problem }).toEqual({ code: 1, has_problem: true });
  expect(findings).toContainEqual({
    check: "schema",
    level: "problem",
    message: "This database has no schema leasehold.",
    advice: "Run: leasehold migrate",
  });
});

test("roles: one that may lock, one that may only look, one that may nothing", async () => {
  const [app, monitor, nobody] = [
    await createRole(database, { grantUsage: true }),
    await createRole(database),
    await createRole(database),
  ];
  await database.sql`select leasehold.grant_monitoring(${monitor.name})`;
  const level = async (url: string) => {
    const { code, findings } = await examine(url);
    return [findings.find(({ check }) => check === "permissions")?.level, code];
  };
  expect(await level(app.url)).toEqual(["ok", 0]);
  expect(await level(monitor.url)).toEqual(["warning", 0]);
  expect(await level(nobody.url)).toEqual(["problem", 1]);
});

test("the owner, its members and superusers are told to give the application a role of its own; others are not", async () => {
  await using cluster = await startCluster();
  await using empty = await createEmptyDatabase({ on: cluster });
  const [owner, member, app] = [await createRole(empty), await createRole(empty), await createRole(empty)];
  await empty.sql.unsafe(`grant create on database ${empty.name} to ${owner.name}`);
  await empty.sql.unsafe(`grant ${owner.name} to ${member.name}`);
  expect(await callCli(["migrate", "--grant-to", app.name], owner)).toMatchObject({ code: 0 });
  const found = async (url: string) => {
    const { code, findings } = await examine(url);
    const { level, message, advice } = findings.find(({ check }) => check === "role") ?? {};
    return { code, level, message, advice };
  };
  const advice = expect.stringContaining("select leasehold.grant_usage(");
  const says = (text: string) => ({ code: 0, level: "warning", message: expect.stringContaining(text), advice });
  expect(await found(owner.url)).toEqual(says(`${owner.name} owns the schemas`));
  expect(await found(member.url)).toEqual(says(`${member.name} is a member of ${owner.name}`));
  expect(await found(app.url)).toMatchObject({ code: 0, level: "ok", advice: null });

  await using made = await createDatabase({ on: cluster });
  expect(await found(made.url)).toEqual(says("is a superuser"));
});

test("a server that can lose what it has promised, and a standby of it", async () => {
  await using cluster = await startCluster({
    settings: { fsync: "off", full_page_writes: "off", log_statement: "all", idle_session_timeout: "1h" },
  });
  await using made = await createDatabase({ on: cluster });
  await using standby = await cluster.createStandby();
  const primary = await examine(made.url);
  expect(primary.code).toBe(1);
  const levels = Object.fromEntries(primary.findings.map(({ check, level }) => [check, level]));
  expect(levels).toMatchObject({
    fsync: "problem",
    full_page_writes: "problem",
    logging: "warning",
    replication: "warning",
    timeouts: "ok",
    connection: "ok",
  });
  await standby.caughtUp();
  const address = new URL(made.url);
  address.port = `${standby.port}`;
  const copy = await examine(address.href);
  expect(copy.code).toBe(1);
  expect(copy.findings.find(({ check }) => check === "standby")).toMatchObject({ level: "problem" });
});

test("a transaction that is open for long, and leases from the future, are found", async () => {
  await using made = await createDatabase();
  expectLeft(made, "leases");
  await made.sql`insert into leasehold.leases (key, token, fence, owner, ttl_ms, takeover_ms, acquired_at, expires_at)
    values ('early', gen_random_uuid(), 1, 'traveller', 1000, 5000, now() + interval '1 h', now() + interval '2 h')`;
  const { findings } = await examine(made.url);
  expect(findings.find(({ check, level }) => check === "clock" && level === "problem")?.message).toContain(
    "in the future",
  );
});

test("an unlogged table of leases, and fences that came from elsewhere, are found", async () => {
  await using made = await createDatabase();
  const old = String(3n << 48n);
  await made.sql`insert into leasehold.leases (key, fence, ttl_ms, released_at) values ('old', ${old}::bigint, 0, now())`;
  await made.sql`alter table leasehold.leases set unlogged`;
  const { code, findings } = await examine(made.url);
  expect(code).toBe(1);
  const problems = findings.filter(({ check, level }) => check === "fences" && level === "problem");
  expect(problems.map(({ advice }) => advice)).toEqual([
    "alter table leasehold.leases set logged;",
    `Run: select leasehold.bump_epoch(${old});`,
  ]);

  for (const { advice } of problems) await made.sql.unsafe(String(advice).replace("Run: ", ""));
  expect((await examine(made.url)).findings.find(({ check }) => check === "fences")?.level).toBe("ok");
});

test.skipIf(!pgbouncer)("a transaction pooler under the session is a problem, with what to do", async () => {
  expectLeft(database, "sessions"); // of the session that was refused
  await using pooler = await startPgBouncer(database.url);
  if (pooler === undefined) throw new Error("PgBouncer is gone");
  const { code, findings } = await examine(pooler.url(database.url));
  expect(code).toBe(1);
  const finding = findings.find(({ check }) => check === "connection");
  expect(finding).toMatchObject({ level: "problem" });
  expect(finding?.message).toContain("--direct-url");
});

test("a server that cannot be reached: exit code 1, and why", async () => {
  const { code, stdout, stderr } = await callCli(["doctor"], { url: "postgres://a:sesame@127.0.0.1:1/app" });
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toContain("ECONNREFUSED");
  expect(stderr).not.toContain("sesame");
});
