// Each view of the page, in a real browser with real locks.
import { describe, expect, test } from "vitest";
import { createDatabase } from "../../support/database.js";
import { expectLeft } from "../../support/leaks.js";
import { openLocker } from "../../support/lockers.js";
import { PostgresProxy } from "../../support/proxy.js";
import { until } from "../../support/until.js";
import { hasBrowser, shows, useBrowser } from "../support/open-page.js";
import { openScene } from "../support/scene.js";

const database = await createDatabase();
const { sql } = database;

describe.skipIf(!hasBrowser)("the page of the inspector", () => {
  const openPage = useBrowser();

  test("every state of a key is there, with its holder, its end, its fence and who waits", async () => {
    expectLeft(database, "sessions", "leases", "shares", "waiters");
    await using _scene = await openScene(database);
    const { page, row, faults } = await openPage(database.url);
    const states = {
      "cache:products": ["shared", "worker-1 +2"],
      "gpu:pool": ["semaphore", "worker-2 +1"],
      "invoice:1041": ["held", "worker-1", "1"],
      "report:daily": ["held", "worker-1", "2"],
      "tenant:7/import": ["revoked", "worker-3"],
      "mail:digest": ["cooling", "worker-3"],
      "ledger:2026-11": ["blocked"],
      "job:thumbnails": ["expired", "worker-3"],
      "job:backup": ["orphaned", "worker-5"],
    };
    for (const [key, texts] of Object.entries(states)) {
      for (const text of texts) await shows(row(key), text);
    }
    const [lease] = await sql`select fence::text from leasehold.leases where key = 'report:daily'`;
    expect(await row("report:daily").locator(".cell-fence").innerText()).toBe(lease?.fence);
    // the bar runs down
    const left = async () =>
      Number.parseFloat((await row("job:index").locator(".left").innerText()).split(" ")[2] ?? "");
    const first = await left();
    await until("time has gone on", async () => (await left()) !== first);

    // search, states, prefix, order
    await page.keyboard.press("/");
    await page.keyboard.type("WORKER-5");
    await shows(page.locator(".total"), "1 of 11 keys");
    expect(await page.locator(".grid-shown .grid-row").count()).toBe(1);
    await page.locator("#search").fill("");
    await page.getByRole("button", { name: /^held/ }).click();
    await shows(page.locator(".total"), "4 of 11 keys");
    await page.getByRole("button", { name: /^held/ }).click();
    await page.getByLabel("Prefix").selectOption("job:");
    await shows(page.locator(".total"), "3 of 11 keys");
    await page.getByLabel("Prefix").selectOption("");
    await page.getByRole("button", { name: "Waiters" }).click();
    await page.getByRole("button", { name: "Waiters" }).click();
    await shows(page.locator('.grid-shown .grid-row[data-index="0"]'), "report:daily");
    expect(await page.locator('[aria-sort="descending"]').innerText()).toContain("Waiters");
    await page.locator("#search").fill("no such key");
    await shows(page.locator(".grid-empty"), "No key matches.");
    await page.getByRole("button", { name: "Show all 11" }).click();
    await shows(page.locator(".total"), /^11 keys$/);
    expect(faults()).toEqual([]);
  });

  test("a key: its line, its holder with metadata, what is in the way, what has happened, how to free it", async () => {
    expectLeft(database, "sessions", "leases", "shares", "waiters");
    await using scene = await openScene(database);
    await using locker = openLocker(database, { owner: "passer-by" });
    const { page, row, go, faults } = await openPage(database.url);
    await row("report:daily").locator("a").click();
    const main = page.locator("main");
    await shows(main, "report:daily");
    expect(page.url()).toContain("#/key/report%3Adaily");
    await shows(main.locator(".metadata"), '"step": "aggregate"');
    await until("the line has two", async () => (await main.locator("tbody tr").count()) === 2);
    const line = await main.locator("tbody tr").allInnerTexts();
    expect(line[0]).toMatch(/^1\s+worker-\d\s+it alone/);
    expect(line[1]).toMatch(/^2\s+worker-\d\s+it alone/);
    await shows(main, "leasehold release --force report:daily");
    await shows(main, "select * from leasehold.force_release('report:daily');");

    await go("#/key/ledger%3A2026-11");
    await shows(main, "An open transaction");
    await shows(main, `select pg_terminate_backend(${scene.transaction.pid});`);
    await shows(main, "idle in transaction");

    // what no view shows: a first grant that is not committed
    await scene.transaction.run("select leasehold.try_acquire('uncommitted')");
    await go("#/key/uncommitted");
    await shows(main, "has not committed");
    await shows(main, `select pg_terminate_backend(${scene.transaction.pid});`);

    await go("#/key/brief");
    await shows(main, "Nobody has it.");
    const lock = await locker.acquire("brief");
    await shows(main, "passer-by");
    await lock.release();
    await shows(main.locator(".events"), `ended passer-by, fence ${lock.fence}`);
    await shows(main.locator(".events"), `granted passer-by, fence ${lock.fence}`);
    await page.keyboard.press("Escape");
    await shows(page.locator(".total"), "keys");
    expect(faults()).toEqual([]);
  });

  test("sessions: which are alive, silent and dead, and what they hold and wait for", async () => {
    expectLeft(database, "sessions", "leases", "shares", "waiters");
    await using _scene = await openScene(database);
    const { page, row, faults } = await openPage(database.url, "#/sessions");
    await shows(row("worker-1"), "alive");
    await shows(row("worker-5"), "dead");
    await shows(row("worker-6"), "silent");
    await shows(row("worker-6").locator(".cell-holds"), "job:index");
    await shows(row("worker-1").locator(".cell-holds"), "report:daily");
    await shows(row("worker-1").locator(".cell-waits"), "invoice:1042");
    await page.getByRole("button", { name: "Owner" }).click();
    await shows(page.locator('.grid-shown .grid-row[data-index="4"]'), "worker-6");
    expect(faults()).toEqual([]);
  });

  test("a deadlock is alarming, is told in words, and is drawn", async () => {
    expectLeft(database, "sessions", "leases", "shares", "waiters");
    await using _scene = await openScene(database);
    const { page, faults } = await openPage(database.url);
    await shows(page.locator("nav .alarm"), "1");
    await page.keyboard.press("3");
    await shows(page.locator(".deadlocks"), "A deadlock");
    await shows(page.locator(".deadlocks"), /worker-1 waits for invoice:1042, held by worker-2/);
    await until("four waits are drawn", async () => (await page.locator("svg .edge").count()) === 4);
    expect(await page.locator("svg .edge.stuck").count()).toBe(2);
    expect(await page.locator("svg .node").count()).toBe(3);
    expect(await page.locator("tbody tr").count()).toBe(4);
    expect(await page.locator("tbody tr[data-stuck]").count()).toBe(2);
    expect(faults()).toEqual([]);
  });

  test("over time: charts from the counters, what the database remembers, hot keys and prefixes", async () => {
    const other = await createDatabase();
    await using locker = openLocker(other, { owner: "busy", presence: "off" });
    const { page, faults } = await openPage(other.url, "#/time");
    await shows(page.locator("main"), "Nothing was counted yet.");
    await using held = await locker.acquire("busy:1");
    for (let n = 0; n < 50; n += 1) await locker.tryAcquire("busy:1");
    for (let n = 0; n < 50; n += 1) await (await locker.acquire(`busy:${n + 2}`)).release();
    await shows(page.locator(".totals"), /Granted\s*51/);
    await shows(page.locator(".totals"), /Contended\s*50/);
    await shows(page.locator(".totals"), /Refused\s*50/);
    await shows(page.locator(".columns"), /busy:1\s+50\s+0/);
    await shows(page.locator(".columns"), /busy\s+51\s+50\s+50/);
    await shows(page.locator(".legend").first(), "held 1");
    await until("grants are drawn", async () =>
      /granted [\d.]*[1-9][\d.]*\/s/.test(await page.locator(".legend").nth(1).innerText()),
    );
    await shows(page.locator(".legend").nth(2), /p50 ≤ \d+ ms\s+p99 ≤ \d+ ms/);
    // something is on the canvases: more than one colour
    const drawn = await page.locator("canvas").evaluateAll((all) =>
      all.map((canvas) => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return new Set(new Uint32Array(data.buffer)).size;
      }),
    );
    expect(drawn).toHaveLength(4);
    for (const colours of drawn) expect(colours).toBeGreaterThan(5);
    expect(held.held).toBe(true);
    expect(faults()).toEqual([]);
  });

  test("thousands of rows: only those in view are in the document, to the very last", async () => {
    const other = await createDatabase();
    await other.sql`
      insert into leasehold.leases (key, token, fence, owner, ttl_ms, takeover_ms, min_hold_ms, acquired_at, renewed_at, expires_at, acquisitions)
      select 'row:' || lpad(n::text, 5, '0'), gen_random_uuid(), n, 'owner ' || n % 7, 1000, 1000, 0, now(), now(), now() + interval '1 hour', 1
        from generate_series(1, 5000) n`;
    expectLeft(other, "leases");
    const { page, row, faults } = await openPage(other.url);
    await shows(page.locator(".total"), "5000 keys");
    expect(await page.locator(".grid-shown .grid-row").count()).toBeLessThan(60);
    await page.locator(".grid").evaluate((grid) => {
      grid.scrollTop = grid.scrollHeight;
    });
    await shows(row("row:05000"), "owner 2");
    const box = await row("row:05000").boundingBox();
    expect((box?.y ?? 0) + (box?.height ?? 0)).toBeLessThanOrEqual(760);
    expect(await page.locator(".grid-shown .grid-row").count()).toBeLessThan(60);
    await page.locator("#search").fill("row:0123");
    await shows(page.locator(".total"), "10 of 5000 keys");
    expect(faults()).toEqual([]);
  });

  test("a key beyond the rows that are read is not said to be free, and can be released by force", async () => {
    const other = await createDatabase();
    await using locker = openLocker(other, { owner: "holder", presence: "off" });
    await using _first = await locker.acquire("a");
    await using last = await locker.acquire("z", { metadata: { step: 7 } });
    const { page, acts, faults } = await openPage(other.url, "#/key/z", {}, { maxRows: 1 });
    await shows(page.locator(".title"), "held");
    await shows(page.locator(".card"), "holder");
    await shows(page.locator(".card"), String(last.fence));
    await shows(page.locator(".metadata"), '"step": 7');
    await shows(page.locator("main"), "leasehold release --force z");
    await page.getByRole("button", { name: "Release by force" }).click();
    await shows(page.locator("dialog"), "z is taken from holder.");
    await page.getByRole("button", { name: "Take it away" }).click();
    await shows(page.locator("dialog"), "It was taken away.");
    expect(acts).toMatchObject([{ key: "z", fence: last.fence }]);
    expect(faults()).toEqual([]);
  });

  test("a page that nobody sees asks for nothing; seen again, it goes on", async () => {
    await using proxy = await PostgresProxy.start(database.url);
    const { page, faults } = await openPage(proxy.url(database.url));
    await shows(page.locator(".live"), "Live");
    const setHidden = (isHidden: boolean) =>
      page.evaluate(
        `Object.defineProperty(document, "hidden", { value: ${isHidden}, configurable: true });
         document.dispatchEvent(new Event("visibilitychange"));`,
      );
    await setHidden(true);
    const looks = () => proxy.statements.filter((statement) => statement.sql.includes("active_leases")).length;
    await until("it looks no more", async () => {
      const before = looks();
      await page.waitForTimeout(1_500);
      return looks() === before;
    });
    const before = looks();
    await setHidden(false);
    await until("it looks again", async () => looks() > before);
    expect(faults()).toEqual([]);
  });
});
