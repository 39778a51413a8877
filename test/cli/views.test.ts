import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Lock } from "../../src/index.js";
import { openGuard, openSession } from "../fencing/session.js";
import { askCli, type CliResult, callCli } from "../support/cli.js";
import { cliProgram } from "../support/compiled.js";
import { createDatabase, createRole } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const cli = cliProgram();
const database = await createDatabase();

interface Scene extends AsyncDisposable {
  readonly lock: Lock;
}

/** alpha holds two keys, beta one whose name is a trap, and beta waits for the first. */
async function openScene(): Promise<Scene> {
  await database.sql`truncate leasehold.leases`;
  await database.sql`alter sequence leasehold.fences restart`;
  await database.sql`update leasehold.fence_epoch set source = 'manual'`; // small fences, always the same
  const options = { metadata: { job: 7 }, ttlMs: 600_000, waitMs: Number.POSITIVE_INFINITY };
  const alpha = openLocker(database, { owner: "alpha", ...options });
  const beta = openLocker(database, { owner: "beta", ...options });
  const lock = await alpha.acquire("order:42");
  await alpha.acquire("注文:1");
  await beta.acquire("evil\u001b[31m\nkey");
  const giveUp = new AbortController();
  const wait = beta.acquire("order:42", { signal: giveUp.signal }).catch(() => undefined);
  await until("beta waits", async () => (await database.sql`select from leasehold.waiting`).length > 0);
  const close = async () => {
    giveUp.abort();
    await wait;
    await Promise.all([alpha.close(), beta.close()]);
  };
  return { lock, [Symbol.asyncDispose]: close };
}

function ask(...args: string[]): Promise<CliResult> {
  return askCli(cli, args, { url: database.url });
}

/** What the columns of a view are called in the JSON, in the order of the view. */
async function jsonNames(view: string): Promise<string[]> {
  const columns = await database.sql`select attname as name, atttypid::regtype::text as type from pg_attribute
    where attrelid = ${`leasehold.${view}`}::regclass and attnum > 0 order by attnum`;
  return columns.map(({ name, type }) => (type === "interval" ? `${name}_ms` : name));
}

/** Without what differs from run to run. */
function steady(text: string): string {
  return text
    .replaceAll(/\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ/g, "<time>")
    .replaceAll(/ +(\d+(\.\d+)?(ms|s|m|h|d))+(?=\s)/g, " <duration>")
    .replaceAll(/ +(WAITING|REMAINING|HELD)(?= )/g, "  $1"); // to the right, above durations
}

test("ls lists what is held, in columns; what a key could do to a terminal is shown, not done", async () => {
  await using _scene = await openScene();
  const { code, stdout, stderr } = await ask("ls");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(steady(stdout)).toBe(
    [
      "KEY                  STATE  FENCE  OWNER  ALIVE  REMAINING  HELD  WAITERS",
      "evil\\u001b[31m\\nkey  held       3  beta   yes <duration> <duration>        0",
      "order:42             held       1  alpha  yes <duration> <duration>        1",
      "注文:1               held       2  alpha  yes <duration> <duration>        0",
      "",
    ].join("\n"),
  );
});

test("nor does JSON or an error do it, and the JSON means the same", async () => {
  const key = "evil\u001b[31m\u009b31m\u007f\u202e";
  await using locker = openLocker(database, { owner: key });
  await locker.acquire(key);
  const results = await Promise.all([
    ask("ls", key, "--json"),
    ask("show", key, "--json"),
    ask("run", key, "--no-wait", "--", "true"),
    ask("run", key, "--no-wait", "--json", "--", "true"),
  ]);
  for (const { stdout, stderr } of results) expect(stdout + stderr).not.toMatch(/[^\P{Cc}\n]|\u202e/u);
  const [list, , told, error] = results;
  expect(JSON.parse(list?.stdout ?? "")).toMatchObject([{ key, owner: key }]);
  expect(told?.stderr).toContain("\\u009b31m");
  expect(JSON.parse(error?.stderr ?? "")).toMatchObject({ error: { key, holder: { owner: key } } });
});

test("ls with a prefix lists those that begin with it, and takes the prefix for text", async () => {
  await using _scene = await openScene();
  expect((await ask("ls", "order:")).stdout.match(/^order/gm)).toHaveLength(1);
  expect((await ask("ls", "order%")).stdout).toBe("No key is held.\n");
  expect((await ask("ls", "order:", "--json")).stdout).toContain('"key": "order:42"');
});

test("ls and waiting take a pattern, say how they read it, and take all else in it for text", async () => {
  await using locker = openLocker(database);
  for (const key of ["t:1:import", "t:22:import", "t:2:export", "t*1", "t%1", "t_1", "t\\1", "T:1:import", "-dash"])
    await locker.acquire(key);
  const found = async (...args: string[]) => {
    const { code, stdout } = await ask("ls", "--json", ...args);
    expect(code).toBe(0);
    return JSON.parse(stdout).map(({ key }: { key: string }) => key);
  };
  expect(await found("t:*:import")).toEqual(["t:1:import", "t:22:import"]);
  expect(await found("t:?:import")).toEqual(["t:1:import"]);
  expect(await found("*port")).toEqual(["T:1:import", "t:1:import", "t:22:import", "t:2:export"].sort());
  expect(await found("t:*:imp")).toEqual([]);
  expect(await found("t\\*1")).toEqual(["t*1"]);
  expect(await found("t\\**")).toEqual(["t*1"]);
  expect(await found("t%?")).toEqual(["t%1"]);
  expect(await found("t_?")).toEqual(["t_1"]);
  expect(await found("t\\\\?")).toEqual(["t\\1"]);
  expect(await found("t\\1")).toEqual(["t\\1"]);
  expect(await found("--", "-d*")).toEqual(["-dash"]);

  const shown = await ask("ls", "t:?:import");
  expect(shown.stdout.match(/^t:/gm)).toHaveLength(1);
  expect(shown.stderr).toBe(
    "Keys that match t:?:import as a whole: * is any text, ? one character, \\* and \\? these characters.\n",
  );
  expect((await ask("ls", "t\\*1")).stderr).toBe("");
  expect((await ask("ls", "--json", "t:*")).stderr).toBe("");
  expect((await ask("show", "t*1")).stdout).toMatch(/^key +t\*1$/m);
  expect((await ask("show", "--", "-dash")).stdout).toMatch(/^key +-dash$/m);
});

test("waiting takes one key, or a pattern", async () => {
  await using _scene = await openScene();
  expect((await ask("waiting", "order:")).stdout).toBe("Nobody waits.\n");
  const { stdout, stderr } = await ask("waiting", "order:*");
  expect(stdout).toMatch(/^order:42 +1 +beta/m);
  expect(stderr).toMatch(/^Keys that match order:\* as a whole/);
  expect((await ask("waiting", "?rder:41")).stdout).toBe("Nobody waits.\n");
});

test("in a pipe no key is cut, however long it is", async () => {
  const key = `long:${"x".repeat(400)}:end`;
  await using locker = openLocker(database);
  await locker.acquire(key);
  expect((await ask("ls", "long:")).stdout).toContain(`${key} `);
  expect((await ask("ls", "long:", "--json")).stdout).toContain(key);
});

test("ls --json has every column of the view: times in ISO form, durations in milliseconds, fences as text", async () => {
  await using scene = await openScene();
  const { stdout } = await ask("ls", "order:", "--json");
  const [row, ...more] = JSON.parse(stdout);
  expect(more).toEqual([]);
  expect(Object.keys(row)).toEqual(await jsonNames("active_leases"));
  expect(row).toMatchObject({
    key: "order:42",
    fence: scene.lock.fence.toString(),
    owner: "alpha",
    is_session_alive: true,
    acquired_at: scene.lock.acquiredAt.toISOString(),
    ttl_ms: 600_000,
    waiters: 1,
    metadata: { job: 7 },
  });
  expect(row.remaining_ms).toBeGreaterThan(0);
  expect(row.remaining_ms).toBeLessThanOrEqual(600_000);
});

test.each([
  ["waiting", "waiting"],
  ["sessions", "live_sessions"],
])("%s --json has every column of leasehold.%s", async (command, view) => {
  await using _scene = await openScene();
  const [row] = JSON.parse((await ask(command, "--json")).stdout);
  expect(Object.keys(row)).toEqual(await jsonNames(view));
});

test("waiting says who waits, for how long, and for whom", async () => {
  await using _scene = await openScene();
  expect(steady((await ask("waiting")).stdout)).toBe(
    ["KEY       #  OWNER  WAITING  ALIVE  BLOCKED BY", "order:42  1  beta <duration>  yes    alpha", ""].join("\n"),
  );
  expect((await ask("waiting", "注文:1")).stdout).toBe("Nobody waits.\n");
});

test("sessions lists the processes", async () => {
  await using _scene = await openScene();
  const { stdout } = await ask("sessions");
  expect(stdout).toMatch(/^ *ID +OWNER +PID +HOST +ADDRESS +VERSION +SILENT +ALIVE +LEASES +WAITS$/m);
  expect(stdout).toMatch(/^ *\d+ +alpha +\d+ .* yes +2 +0$/m);
  expect(stdout).toMatch(/^ *\d+ +beta +\d+ .* yes +1 +1$/m);
});

test("sessions leaves out the dead, and says so, unless --all asks for them", async () => {
  expectLeft(database, "sessions");
  await using _scene = await openScene();
  await database.sql`insert into leasehold.sessions (id, nonce, owner, pid, host, application_name, version, started_at, seen_at)
    values (1000000000, gen_random_uuid(), 'ghost', 1, 'gone', 'gone', '0', now(), now())`;
  const [alive, all, json, allJson] = await Promise.all([
    ask("sessions"),
    ask("sessions", "--all"),
    ask("sessions", "--json"),
    ask("sessions", "--json", "--all"),
  ]);
  expect(alive.stdout).not.toContain("ghost");
  expect(alive.stderr).toBe("1 not shown, dead or reconnecting: leasehold sessions --all\n");
  expect(all.stdout).toMatch(/ghost .* no +0 +0$/m);
  expect(all.stderr + json.stderr + allJson.stderr).toBe("");
  const owners = (result: CliResult) => JSON.parse(result.stdout).map(({ owner }: { owner: string }) => owner);
  expect(owners(json)).toEqual(["alpha", "beta"]);
  expect(owners(allJson)).toEqual(["alpha", "beta", "ghost"]);
});

test("show tells all about a key, and who waits in its queue", async () => {
  await using _scene = await openScene();
  const held = await ask("show", "order:42");
  expect(held).toMatchObject({ code: 0, stderr: "" });
  expect(held.stdout).toMatch(/^key +order:42$/m);
  expect(held.stdout).toMatch(/^owner +alpha$/m);
  expect(held.stdout).toMatch(/^metadata +{"job":7}$/m);
  expect(held.stdout).toMatch(/^order:42 +1 +beta/m);
  expect(await ask("show", "nobody's")).toEqual({ code: 1, stdout: "nobody's is free.\n", stderr: "" });
  expect(JSON.parse((await ask("show", "nobody's", "--json")).stdout)).toEqual({
    key: "nobody's",
    is_free: true,
    lease: null,
    leases: [],
    expired_lease: null,
    waiting: [],
  });
  expect(JSON.parse((await ask("show", "order:42", "--json")).stdout)).toMatchObject({
    is_free: false,
    lease: { owner: "alpha", state: "held" },
    waiting: [{ owner: "beta", position: 1 }],
  });
});

test("ls --expired and show tell an expired lease", async () => {
  expectLeft(database, "leases");
  await database.sql`insert into leasehold.leases (key, token, fence, owner, ttl_ms, takeover_ms, acquired_at, expires_at)
    values ('stale', gen_random_uuid(), 1, 'gone', 1000, 5000, now() - interval '1 h', now() - interval '10 min')`;
  expect((await ask("ls", "--expired")).stdout).toMatch(/^stale +\d+ +gone +expired /m);
  const shown = await ask("show", "stale");
  expect(shown).toMatchObject({ code: 1, stdout: expect.stringContaining("the key is free for the next one") });
  // unless a transaction keeps it
  await using guarding = await openSession(database);
  await guarding.begin();
  await guarding.run("select from leasehold.leases where key = 'stale' for key share");
  const kept = await ask("show", "stale");
  expect(kept).toMatchObject({ code: 0, stdout: expect.stringMatching(/^state +expired$/m) });
  expect(kept.stdout).toMatch(new RegExp(`^blocking_pid +${guarding.pid}$`, "m"));
  expect((await ask("ls", "--expired")).stdout).toBe("No lease is expired.\n");
  await guarding.rollback();
  expect((await ask("ls", "stale")).stdout).toBe("No key is held.\n");
});

test("stats and hot show what lockers have counted, by prefix and by key", async () => {
  await using locker = openLocker(database);
  for (let i = 0; i < 3; i += 1) await locker.withLock("report:daily", () => null);
  const held = await locker.acquire("report:daily");
  for (let i = 0; i < 2; i += 1) expect(await locker.tryAcquire("report:daily")).toBeNull();
  await held.release();
  await locker.close(); // what it has counted is written down then, at the latest

  const { stdout } = await ask("stats");
  expect(stdout).toMatch(/^acquired +\d+$/m);
  expect(stdout).toMatch(/^hold_p95 +\d/m);
  expect(stdout).not.toContain("histogram");
  const all = JSON.parse((await ask("stats", "--json")).stdout);
  expect(Object.keys(all)).toEqual(await jsonNames("stats"));
  expect(all.hold_histogram).toHaveLength(28);

  const prefixes = JSON.parse((await ask("stats", "--by-prefix", "--json")).stdout);
  expect(prefixes).toContainEqual(expect.objectContaining({ prefix: "report", acquired: "4", refused: "2" }));
  expect((await ask("stats", "--by-prefix")).stdout).toMatch(/^report +4 +2 +0 +2 +0 +\d/m);

  expect(JSON.parse((await ask("hot", "--json")).stdout)).toContainEqual(
    expect.objectContaining({ key: "report:daily", contended: "2", contended_at_most: "2" }),
  );
  expect((await ask("hot")).stdout).toMatch(/^report:daily +2 +2 /m);
});

test("ls, show and run agree on what is not free: revoked, cooling, blocked, granted for the first time and not committed", async () => {
  expectLeft(database, "leases");
  await using locker = openLocker(database, { owner: "owner", ttlMs: 600_000, keepAlive: false });
  await locker.acquire("s:revoked");
  await locker.forceRelease("s:revoked");
  await (await locker.acquire("s:cooling", { minHoldMs: 600_000 })).release();
  const guarded = await locker.acquire("s:blocked");
  await using session = await openGuard(database, guarded);
  await guarded.release();
  await session.run("select leasehold.try_acquire('s:first', '5 min')");

  const list = await ask("ls", "s:");
  expect(list.stdout).toMatch(new RegExp(`^s:blocked +blocked +\\d+ +owner +- +- +- +0 +${session.pid}$`, "m"));
  expect(list.stdout).toMatch(/^s:cooling +cooling +\d+ +owner +- +9m\d+s +- +0 +-$/m);
  expect(list.stdout).toMatch(/^s:revoked +revoked +\d+ +owner +yes +9m\d+s +\d.* +0 +-$/m);
  for (const state of ["revoked", "cooling", "blocked", "first"]) {
    const { code, stdout } = await ask("show", `s:${state}`);
    expect(code, state).toBe(0);
    expect(stdout).toMatch(new RegExp(`^state +${state === "first" ? "blocked" : state}$`, "m"));
    const { lease, is_free } = JSON.parse((await ask("show", `s:${state}`, "--json")).stdout);
    expect(Object.keys(lease)).toEqual(await jsonNames("active_leases"));
    expect(is_free).toBe(false);
    expect((await ask("run", `s:${state}`, "--no-wait", "--", "true")).code, state).toBe(193);
  }
  const first = (await ask("show", "s:first")).stdout;
  expect(first).toMatch(new RegExp(`^blocking_pid +${session.pid}$`, "m"));
  expect(first).toContain("granted for the first time, in a transaction that has not committed yet");
  await session.rollback();
  for (const key of ["s:blocked", "s:first"]) {
    expect(await ask("show", key)).toMatchObject({ code: 1, stdout: `${key} is free.\n` });
    expect((await ask("run", key, "--no-wait", "--", "true")).code).toBe(0);
  }
});

test("a role that may only look is shown all of it", async () => {
  const role = await createRole(database);
  await database.sql`select leasehold.grant_monitoring(${role.name})`;
  await using session = await openSession(database);
  await session.begin();
  await session.run("select leasehold.try_acquire('hidden', '5 min')");
  expect((await callCli(["show", "hidden"], role)).stdout).toMatch(/^state +blocked$/m);
  expect(await callCli(["show", "free"], role)).toMatchObject({ code: 1, stdout: "free is free.\n" });
  await session.rollback();
});

test("a role that may only lock is shown by show what check tells it, and how to see the rest; ls names the right", async () => {
  expectLeft(database, "leases");
  const role = await createRole(database, { grantUsage: true });
  const statement = `select leasehold.grant_monitoring('${role.name}');`;
  await using locker = openLocker(database, {
    owner: "owner",
    ttlMs: 600_000,
    keepAlive: false,
    metadata: { job: 7 },
    onLost: () => undefined,
  });
  await locker.acquire("u:held");
  await locker.acquire("u:revoked");
  await locker.forceRelease("u:revoked");
  await (await locker.acquire("u:cooling", { minHoldMs: 600_000 })).release();
  const guarded = await locker.acquire("u:blocked");
  const ending = await locker.acquire("u:expired but guarded");
  await locker.acquire("u:expired");
  await using session = await openGuard(database, guarded);
  await using other = await openGuard(database, ending);
  await guarded.release();
  await session.run("select leasehold.try_acquire('u:first', '5 min')");
  await database.sql`update leasehold.leases set expires_at = now() - interval '1 s' where key like 'u:expired%'`;
  const hidden = ["max_hold_until", "revoked_at", "pid", "host", "client_address", "application_name", "acquisitions"];
  const comparable = (row: Record<string, unknown> | null) =>
    row &&
    Object.fromEntries(
      Object.entries(row).filter(([name]) => !/_at$|^(remaining|held_for|expired_for)_ms$/.test(name)),
    );
  for (const name of ["held", "revoked", "cooling", "blocked", "expired but guarded", "expired", "first", "free"]) {
    const key = `u:${name}`;
    const [all, part] = await Promise.all([
      ask("show", key, "--json"),
      callCli(["show", key, "--json"], { url: role.url }),
    ]);
    expect({ key, code: part.code }).toEqual({ key, code: all.code });
    expect(part.stderr).toMatch(/^leasehold show: [^\n]*\n$/);
    expect(part.stderr).toContain(statement);
    const [whole, seen] = [JSON.parse(all.stdout), JSON.parse(part.stdout)];
    expect(seen).toMatchObject({ key, is_free: whole.is_free, waiting: null });
    for (const row of [whole.lease, whole.expired_lease]) for (const column of hidden) delete row?.[column];
    expect(comparable(seen.lease)).toEqual(comparable(whole.lease));
    expect(comparable(seen.expired_lease)).toEqual(comparable(whole.expired_lease));
    expect(Object.keys(seen.lease ?? {})).toEqual(Object.keys(whole.lease ?? {}));
    for (const at of ["acquired_at", "expires_at", "free_at"]) {
      const [mine, theirs] = [Date.parse(seen.lease?.[at]), Date.parse(whole.lease?.[at])];
      expect(Number.isNaN(mine), `${key} ${at}`).toBe(Number.isNaN(theirs));
      if (!Number.isNaN(mine)) expect(Math.abs(mine - theirs)).toBeLessThanOrEqual(1);
    }
  }
  const { stdout } = await callCli(["show", "u:held"], role);
  expect(stdout).toMatch(/^owner +owner$/m);
  expect(stdout).not.toMatch(/^host /m);

  const list = await callCli(["ls"], role);
  expect(list).toMatchObject({ code: 1, stdout: "" });
  expect(list.stderr).toContain(statement);
  const nobody = await createRole(database);
  const refused = await callCli(["show", "u:held"], nobody);
  expect(refused).toMatchObject({ code: 1, stdout: "" });
  expect(refused.stderr).toContain(`select leasehold.grant_monitoring('${nobody.name}');`);
  await session.rollback();
  await other.rollback();
});

test("release --force says what will happen and when; --wait waits for it", async () => {
  const onLost = () => undefined; // no warning, which would be among what the command writes
  await using locker = openLocker(database, { owner: "victim", ttlMs: 600_000, renewEveryMs: 1_000, onLost });
  const lock = await locker.acquire("taken");
  const { expiresAt } = (await locker.check("taken")) ?? {};
  expect(expiresAt).toBeInstanceOf(Date);
  const told = await ask("release", "--force", "taken", "--wait");
  expect(told).toMatchObject({ code: 0, stderr: "" });
  expect(told.stdout).toMatch(
    /^taken: revoked; free when its holder victim notices, at the latest at \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ\.\ntaken: free\.\n$/,
  );
  expect(lock.signal.reason).toMatchObject({ reason: "forced" });
  expect(await locker.isLocked("taken")).toBe(false);
});

test("release --force --wait gives up in time, and says what keeps the key", async () => {
  await using locker = openLocker(database, { owner: "deaf", ttlMs: 600_000, keepAlive: false });
  const lock = await locker.acquire("kept");
  const late = await ask("release", "--force", "--wait", "2s", "kept");
  expect(late).toMatchObject({ code: 1, stdout: expect.stringContaining("kept: revoked; ") });
  expect(late.stderr).toMatch(
    /^leasehold release: kept is not free yet: its holder deaf has not noticed; it will be in 9m.* at the latest\n$/,
  );

  const other = await locker.acquire("open");
  await using session = await openGuard(database, other);
  const open = `the open transaction of server process ${session.pid}`;
  const blocked = await ask("release", "--force", "open", "--immediate", "--wait=0");
  expect(blocked.stdout).toBe(
    `open: released; its holder deaf may still believe that it has the lock.\nBut ${open} guards it, and keeps it until that ends.\n`,
  );
  expect(blocked).toMatchObject({
    code: 1,
    stderr: `leasehold release: open is not free yet: ${open} keeps it until that ends\n`,
  });
  const nobody = await ask("release", "--force", "open");
  expect(nobody).toMatchObject({ code: 1, stdout: `Nobody holds open. T${open.slice(1)} keeps it until that ends.\n` });
  const json = await ask("release", "--force", "open", "--json");
  expect(json.code).toBe(1);
  expect(JSON.parse(json.stdout)).toMatchObject({ outcome: null, state: "blocked", blocking_pid: session.pid });
  const [waited] = await Promise.all([
    ask("release", "--force", "open", "--wait"),
    sleep(1_000).then(() => session.rollback()),
  ]);
  expect(waited).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/keeps it until that ends\.\nopen: free\.\n$/),
  });
  await lock.release().catch(() => undefined);
  await other.release().catch(() => undefined);
});

test("release --force --wait is over when the next one in the queue has the key; a minimum hold is ended", async () => {
  await using locker = openLocker(database, { owner: "before", ttlMs: 600_000, renewEveryMs: 500 });
  await using next = openLocker(database, { owner: "after" });
  await locker.acquire("queued");
  const granted = next.acquire("queued");
  await until(
    "it waits",
    async () => (await database.sql`select from leasehold.waiting where key = 'queued'`).length > 0,
  );
  const done = await ask("release", "--force", "queued", "--wait", "--json");
  expect(JSON.parse(done.stdout)).toMatchObject({
    key: "queued",
    outcome: "revoked",
    free_at: expect.any(String),
    holders: [{ owner: "before", fence: expect.any(String) }],
    blocking_pid: null,
    is_free: true,
  });
  await (await granted).release();

  await (await locker.acquire("cool", { minHoldMs: 600_000 })).release();
  expect(await ask("release", "--force", "cool", "--fence", "1")).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/^Nobody holds cool with fence 1\. Its minimum hold keeps it, until .*Z\.\n$/),
  });
  expect(await ask("release", "--force", "cool")).toMatchObject({ code: 0, stdout: "cool: released.\n" });
  expect(await locker.isLocked("cool")).toBe(false);
});

test("release --force takes a lock, the one with the fence that was meant, at once if asked to; no lock: exit code 1", async () => {
  await using locker = openLocker(database, { owner: "victim" });
  const lock = await locker.acquire("mine");
  const other = `${lock.fence + 1n}`;
  expect(await ask("release", "--force", "mine", "--fence", other)).toEqual({
    code: 1,
    stdout: `Nobody holds mine with fence ${other}.\n`,
    stderr: "",
  });
  const taken = await ask("release", "--force", "mine", "--fence", `${lock.fence}`, "--immediate", "--json");
  expect(taken).toMatchObject({ code: 0, stderr: "" });
  expect(JSON.parse(taken.stdout)).toEqual({
    key: "mine",
    outcome: "released",
    free_at: null,
    holders: [{ owner: "victim", fence: `${lock.fence}`, weight: 1, expires_at: expect.any(String) }],
    blocking_pid: null,
    blocking_transaction: null,
  });
  await expect(lock.renew()).rejects.toMatchObject({ code: "lease-lost" });
  expect(await ask("release", "--force", "mine")).toEqual({ code: 1, stdout: "Nobody holds mine.\n", stderr: "" });
});

test("sweep deletes what nobody needs any more, in as many batches as it takes, and says how much", async () => {
  await database.sql`insert into leasehold.leases (key, fence, ttl_ms, released_at)
    select 'over ' || i, 1, 0, clock_timestamp() - interval '1 hour' from generate_series(1, 1200) i`;
  const done = await ask("sweep");
  expect(done).toMatchObject({ code: 0, stderr: "" });
  expect(done.stdout).toMatch(/^leases purged: 1200$/m);
  expect(done.stdout).not.toContain("has more");
  const counts = JSON.parse((await ask("sweep", "--json")).stdout);
  expect(counts).toMatchObject({
    leases_purged: expect.any(Number),
    sessions_purged: expect.any(Number),
    is_busy: false,
  });
});

test.each([["sweep"], ["release", "--force", "anything"]])(
  "a role without any right is told what %s takes",
  async (...args) => {
    const role = await createRole(database);
    const { code, stderr } = await callCli(args, role);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining(`select leasehold.grant_admin('${role.name}');`),
    });
  },
);

test("a role that may not look or sweep is told what to run, and may when that was run", async () => {
  const role = await createRole(database);
  await database.sql`select leasehold.grant_usage(${role.name})`;
  for (const [args, right] of [
    [["ls"], "monitoring"],
    [["sweep"], "admin"],
    [["release", "--force", "anything"], "admin"],
  ] as const) {
    const { code, stdout, stderr } = await callCli(args, role);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    const advice = `select leasehold.grant_${right}('${role.name}');`;
    expect(stderr).toContain(advice);
    await database.sql.unsafe(advice);
    expect(await callCli(args, role)).toMatchObject({ code: args[0] === "release" ? 1 : 0, stderr: "" });
    await database.sql.unsafe(`drop owned by ${role.name}; select leasehold.grant_usage('${role.name}')`);
  }
});
