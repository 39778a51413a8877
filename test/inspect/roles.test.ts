// Who may do what, asked of the catalog, so that whatever is added later is judged, too; then tried as these roles.
import postgres from "postgres";
import { expect, test } from "vitest";
import { migrateDatabase } from "../../src/postgres/schema/migrate.js";
import { abandonRows, acquireRows, firstAttemptRows, releaseRows, renewRows } from "../support/acts.js";
import { openClient } from "../support/client.js";
import { createDatabase, createEmptyDatabase, createRole, type TestRole } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { quote } from "../support/quote.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;
const roles = {
  stranger: await createRole(database, { label: "stranger" }),
  app: await createRole(database, { label: "app", grantUsage: true }),
  monitoring: await createRole(database, { label: `Monitoring's "own"` }),
  admin: await createRole(database, { label: "admin" }),
};
await sql`select leasehold.grant_monitoring(${roles.monitoring.name})`;
await sql`select leasehold.grant_admin(${roles.admin.name})`;

const views = (
  await sql`select relname::text as name from pg_class where relnamespace = 'leasehold'::regnamespace and relkind = 'v'`
).map(({ name }) => `leasehold.${name}`);

/** What a role may do with relations, columns, sequences, types and schemas, each as one line. */
async function privileges({ name }: TestRole): Promise<string[]> {
  const rows = await sql`
    with theirs as (select oid, nspname from pg_namespace where nspname like 'leasehold%')
    select format('%s on %s', privilege, c.oid::regclass) as told
      from pg_class c join theirs on theirs.oid = c.relnamespace,
           unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) privilege
     where c.relkind not in ('S', 'i', 'I', 'c') and c.relname <> '_granted' -- the mark of a grant: nulls
       and (has_table_privilege(${name}::text, c.oid, privilege)
            or privilege in ('select', 'insert', 'update', 'references') and has_any_column_privilege(${name}::text, c.oid, privilege))
    union all
    select format('%s on %s', privilege, c.oid::regclass)
      from pg_class c join theirs on theirs.oid = c.relnamespace, unnest(array['select', 'usage', 'update']) privilege
     where c.relkind = 'S' and has_sequence_privilege(${name}::text, c.oid, privilege)
    union all
    select format('type %s', t.oid::regtype)
      from pg_type t join theirs on theirs.oid = t.typnamespace
     where t.typcategory <> 'A' and has_type_privilege(${name}::text, t.oid, 'usage')
    union all
    select format('%s in %s', privilege, theirs.nspname) from theirs, unnest(array['usage', 'create']) privilege
     where has_schema_privilege(${name}::text, theirs.oid, privilege)
    order by 1`;
  return rows.map(({ told }) => told);
}

/** The functions that a role can call, and those that it cannot. */
async function functions({ name }: TestRole): Promise<{ callable: string[]; refused: string[] }> {
  const rows = await sql`
    select p.oid::regprocedure::text as told,
           has_function_privilege(${name}::text, p.oid, 'execute') and has_schema_privilege(${name}::text, p.pronamespace, 'usage') as may
      from pg_proc p where p.pronamespace in (select oid from pg_namespace where nspname like 'leasehold%') order by 1`;
  const told = (may: boolean) => rows.filter((row) => row.may === may).map((row) => row.told as string);
  return { callable: told(true), refused: told(false) };
}

/** A call of each of these functions, with nulls. */
async function callsOf(names: readonly string[]): Promise<string[]> {
  const rows = await sql`
    select p.oid::regprocedure::text as told,
           format('%s %I.%I(%s)', case p.prokind when 'p' then 'call' else 'select' end, n.nspname, p.proname,
             (select string_agg(format('null::%s', type::regtype), ', ' order by place) from unnest(p.proargtypes) with ordinality a (type, place))) as call
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname like 'leasehold%' and p.prorettype <> 'trigger'::regtype`;
  return rows.filter(({ told }) => names.includes(told)).map(({ call }) => call);
}

const selects = views.map((view) => `select on ${view}`);

test("by default nobody may do anything", async () => {
  expect(await privileges(roles.stranger)).toEqual([]);
  expect((await functions(roles.stranger)).callable).toEqual([]);
});

test("a monitoring role may read the views and ask about a key, and nothing else", async () => {
  expect(await privileges(roles.monitoring)).toEqual([...selects, "usage in leasehold"].sort());
  expect((await functions(roles.monitoring)).callable).toEqual(['leasehold."check"(text)']);

  const client = await openClient(roles.monitoring.url);
  const { refused } = await functions(roles.monitoring);
  for (const call of await callsOf(refused)) {
    await expect(client.unsafe(call), call).rejects.toMatchObject({ code: "42501" });
  }
  const tables = await sql`
    select c.oid::regclass::text as name from pg_class c
     where c.relnamespace in (select oid from pg_namespace where nspname like 'leasehold%') and c.relkind in ('r', 'v', 'm', 'p', 'S', 'f')`;
  for (const { name } of tables.filter(({ name }) => !views.includes(name))) {
    await expect(client.unsafe(`select * from ${name}`), name).rejects.toMatchObject({ code: "42501" });
  }
  await client.end();
});

// By name it cannot call them; but they run with the owner's rights where somebody reads the views.
test("what the views are made of neither writes nor locks nor tells a token", async () => {
  const rows = await sql`
    select p.oid::regprocedure::text as name, p.provolatile::text as volatility, p.prosrc as source,
           'uuid'::regtype = any (p.proargtypes::oid[] || coalesce(p.proallargtypes, '{}') || p.prorettype)
             or exists (select from pg_attribute a join pg_type t on t.typrelid = a.attrelid where t.oid = p.prorettype and a.atttypid = 'uuid'::regtype)
             as tells
      from pg_proc p
     where p.pronamespace = 'leasehold_internal'::regnamespace and has_function_privilege(${roles.monitoring.name}::text, p.oid, 'execute')`;
  expect(rows.length).toBeGreaterThan(0);
  for (const row of rows) {
    expect(row, row.name).toMatchObject({ volatility: expect.stringMatching(/^[si]$/), tells: false });
    expect(row.source, row.name).not.toMatch(
      /pg_(try_)?advisory|for (no key )?update|for (key )?share|notify|\bexecute\b/i,
    );
  }
});

test("a plain monitoring role sees all of it: liveness, server process and address, whose ever they are", async () => {
  await using holder = openLocker(roles.app.url, { owner: "holder", metadata: { job: 7 } });
  await using waiter = openLocker(database, { owner: "waiter" });
  const lock = await holder.acquire("seen");
  const other = await waiter.acquire("seen-too");
  const waits = [waiter.acquire("seen"), holder.acquire("seen-too")];
  await until("both wait", async () => (await sql`select from leasehold.waiters`).length === 2);
  const client = await openClient(roles.monitoring.url);
  const readAll = async (by: postgres.Sql) => {
    const rows: Record<string, unknown>[] = [];
    for (const view of views) {
      rows.push(...(await by.unsafe(`select * from ${view}`)).map((row) => ({ view, ...row })));
    }
    return rows;
  };

  const [lease] = await client`select * from leasehold.active_leases where key = 'seen'`;
  const [wait] = await client`select * from leasehold.waiting where key = 'seen'`;
  const [session] = await client`select * from leasehold.live_sessions where owner = 'holder'`;
  const cycles = await client`select * from leasehold.deadlocks`;
  const own = await sql`select pid, client_addr::text as address from pg_stat_activity where pid = ${lease?.pid}`;
  const theirs = await client`select pid, client_addr::text as address from pg_stat_activity where pid = ${lease?.pid}`;

  expect(lease).toMatchObject({ owner: "holder", is_session_alive: true, waiters: 1, metadata: { job: 7 } });
  expect(own).toEqual([{ pid: lease?.pid, address: `${lease?.client_address}/32` }]);
  // what the server itself would show to this role
  expect(theirs).toEqual([{ pid: lease?.pid, address: null }]);
  expect(session).toMatchObject({ pid: lease?.pid, client_address: lease?.client_address, is_alive: true });
  expect(wait).toMatchObject({ owner: "waiter", position: 1, blocked_by: "holder", is_alive: true });
  expect(cycles).toHaveLength(1);

  const secrets = await sql`
    select token::text as secret from leasehold.leases where token is not null
    union all select token::text from leasehold.waiters
    union all select nonce::text from leasehold.sessions`;
  expect(secrets).toHaveLength(6);
  const shown = JSON.stringify(await readAll(client));
  expect(shown).toContain("holder");
  for (const { secret } of secrets) expect(shown).not.toContain(secret);

  await lock.release();
  await other.release();
  for (const wait of waits) await (await wait).release();
  await client.end();
});

test("a view that comes later is readable once it was granted, and a role's name may be anything", async () => {
  await sql.unsafe("create view leasehold.later as select count(*) as held from leasehold_internal._leases");
  const client = await openClient(roles.monitoring.url);
  await expect(client`select * from leasehold.later`).rejects.toMatchObject({ code: "42501" });
  await sql`select leasehold.grant_monitoring(${roles.monitoring.name})`;
  expect(await client`select * from leasehold.later`).toHaveLength(1);
  await client.end();
  await sql.unsafe("drop view leasehold.later");
});

test.each(["grant_monitoring", "grant_admin"])("%s says that a role does not exist", async (grant) => {
  await expect(sql`select ${sql(`leasehold.${grant}`)}('nobody of that name')`).rejects.toMatchObject({
    code: "42704",
    message: 'role "nobody of that name" does not exist',
  });
});

test("where the schema's owner is no superuser, the views show as much", async () => {
  await using own = await createEmptyDatabase();
  const owner = await createRole(own, { label: "owner" });
  const viewer = await createRole(own, { label: "viewer" });
  await own.sql.unsafe(`grant create on database ${quote(own.name)} to ${quote(owner.name)}`);
  await migrateDatabase(() => {
    const client = postgres(owner.url, { max: 1, fetch_types: false, onnotice: () => {} });
    return {
      query: (text, parameters = []) => client.unsafe(text, [...parameters]),
      end: () => client.end({ timeout: 5 }),
      destroy: () => void client.end({ timeout: 0 }),
    };
  });
  const asOwner = await openClient(owner.url);
  await asOwner`select leasehold.grant_monitoring(${viewer.name})`;
  const app = await createRole(own, { label: "app" });
  await asOwner`select leasehold.grant_usage(${app.name})`;
  await using locker = openLocker(app.url);
  await using lock = await locker.acquire("of another role");
  const client = await openClient(viewer.url);

  const [row] = await client`select key, is_session_alive, pid, client_address from leasehold.active_leases`;

  expect(row).toEqual({ key: lock.key, is_session_alive: true, pid: expect.any(Number), client_address: "127.0.0.1" });
  await client.end();
  await asOwner.end();
});

test("an application's role may neither read the views nor do what operators do, unless it was granted that", async () => {
  expect(await privileges(roles.app)).toEqual(["usage in leasehold", "usage in leasehold_internal"]);
  const client = await openClient(roles.app.url);
  const { refused } = await functions(roles.app);
  for (const text of [...views.map((view) => `select * from ${view}`), ...(await callsOf(refused))]) {
    await expect(client.unsafe(text), text).rejects.toMatchObject({ code: "42501" });
  }
  // these it may call, to be told what it lacks
  for (const call of ["force_release('a')", "force_release(null, 0, null)", "sweep()", "sweep(null, null)"]) {
    await expect(client.unsafe(`select leasehold.${call}`), call).rejects.toMatchObject({
      code: "42501",
      hint: `As the owner of the schema, run: select leasehold.grant_admin('${roles.app.name}');`,
    });
  }
  await client.end();

  const both = await createRole(database, { label: "both", grantUsage: true });
  await sql`select leasehold.grant_monitoring(${both.name})`;
  const seeing = await openClient(both.url);
  for (const view of views) await seeing.unsafe(`select * from ${view}`);
  await seeing.end();
});

test("it can neither act as somebody else's session nor with a token that it does not know", async () => {
  await using locker = openLocker(database, { keepAlive: false, ttlMs: 60_000 });
  const lock = await locker.acquire("mine");
  const client = await openClient(roles.app.url);
  const rowsOf = async () => ({
    leases: await sql`select l.*, l.xmin::text from leasehold.leases l where key = 'mine'`,
    sessions:
      await sql`select id, nonce, pid from leasehold.sessions where id = (select session_id from leasehold.leases where key = 'mine')`,
  });
  const before = await rowsOf();
  const session = Number(before.sessions[0]?.id);
  const guess = "00000000-0000-4000-8000-000000000000";
  const asSession = async (nonce: string) => {
    const named = { session: { id: session, nonce } };
    const asked = [{ key: "mine" }, { key: "forged" }];
    expect(await client.unsafe(`select outcome from ${firstAttemptRows(asked, named)} a`)).toEqual(unproven);
    return await client.unsafe(`select outcome from ${acquireRows(asked, named)}`);
  };
  const unproven = [{ outcome: "unproven" }, { outcome: "unproven" }];

  expect(await asSession(guess)).toEqual(unproven);
  expect(await client`select alive from leasehold_internal.heartbeat(${session}, ${guess}::uuid)`).toEqual([
    { alive: false },
  ]);
  // also with the setting by which a session knows its own connection
  await client`select set_config('leasehold.session', ${guess}, false)`;
  expect(await asSession(guess)).toEqual(unproven);
  expect(await client`select alive from leasehold_internal.heartbeat(${session}, ${guess}::uuid)`).toEqual([
    { alive: false },
  ]);
  await expect(
    client`select * from leasehold_internal.open_session(${session}, ${guess}::uuid, 'me', 'here', '0')`,
  ).rejects.toMatchObject({ code: "LH004" });
  await client`select leasehold_internal.close_session(${session}, ${guess}::uuid)`;

  const forged = { key: "mine", token: guess, fence: lock.fence, isDoubted: true };
  const outcomes = await client.unsafe(`
    select 'renewed' as act, outcome from ${renewRows([forged])} a
    union all
    select 'released', outcome from ${releaseRows([forged])} a
    union all
    select 'abandoned', outcome from ${abandonRows([forged])}`);
  expect([...outcomes]).toEqual([
    { act: "renewed", outcome: "lost" },
    { act: "released", outcome: "gone" },
    { act: "abandoned", outcome: "gone" },
  ]);
  expect(await sql`select from leasehold.leases where key = 'forged'`).toHaveLength(0);
  expect(await rowsOf()).toEqual(before);
  expect(lock.held).toBe(true);
  await lock.renew();
  await lock.release();
  await client.end();
});

test("whoever listens to every channel hears no token", async () => {
  await using holder = openLocker(database);
  await using waiter = openLocker(database);
  const lock = await holder.acquire("loud");
  const wait = waiter.acquire("loud");
  await until("it waits", async () => (await sql`select from leasehold.waiters`).length === 1);
  const heard: { channel: string; payload: string }[] = [];
  const ear = postgres(roles.stranger.url, { max: 1, onnotice: () => {} });
  const sessions = await sql`select id from leasehold.sessions`;
  for (const { id } of sessions) {
    await ear.listen(`leasehold_${id}`, (payload) => heard.push({ channel: `leasehold_${id}`, payload }));
  }

  await lock.release();
  await (await wait).release();
  await until("the wake-up was heard", () => heard.length > 0);

  expect(new Set(heard.map(({ payload }) => payload))).toEqual(new Set([""]));
  await ear.end({ timeout: 1 });
});

test("an administrator may see, force, sweep and raise the epoch, and nothing else that the owner may", async () => {
  const app = await functions(roles.app);
  const admin = await functions(roles.admin);
  expect(await privileges(roles.admin)).toEqual(
    [...selects, "usage in leasehold", "usage in leasehold_internal"].sort(),
  );
  const operators = await sql`
    select oid::regprocedure::text as told from pg_proc where pronamespace = 'leasehold'::regnamespace and proname in ('bump_epoch', 'reset_fence')
    union all select unnest(array['leasehold_internal.admin_force_release(text,bigint,boolean,boolean)', 'leasehold_internal.admin_sweep(interval,integer)'])
    order by 1`;
  // what the views are made of is granted for their sake
  const more = admin.callable.filter(
    (name) => !app.callable.includes(name) && !name.startsWith("leasehold_internal._"),
  );
  expect(more).toEqual(operators.map(({ told }) => told));
  const client = await openClient(roles.admin.url);
  for (const call of await callsOf(admin.refused)) {
    await expect(client.unsafe(call), call).rejects.toMatchObject({ code: "42501" });
  }
  for (const view of views) await client.unsafe(`select * from ${view}`);

  await using holder = openLocker(database, { keepAlive: false });
  await using operator = openLocker(roles.admin.url);
  const lock = await holder.acquire("forced");
  expect(await operator.forceRelease("forced", { immediate: true })).toMatchObject({ outcome: "released" });
  await client`select * from leasehold.force_release('forced')`;
  await client`select * from leasehold.sweep()`;
  await expect(lock.renew()).rejects.toMatchObject({ name: "LeaseLostError", reason: "forced" });
  const [raised] = await client`select leasehold.bump_epoch() as fence`;
  const next = await holder.acquire("forced");
  expect(next.fence).toBeGreaterThan(BigInt(raised?.fence));
  await next.release();
  await client.end();
});
