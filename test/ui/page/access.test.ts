// The page for everybody: contrast, names and roles for those who listen to it, narrow screens, the keyboard alone.
import { describe, expect, test } from "vitest";
import { createDatabase } from "../../support/database.js";
import { expectLeft } from "../../support/leaks.js";
import { openLocker } from "../../support/lockers.js";
import { until } from "../../support/until.js";
import { hasBrowser, shows, useBrowser, violations } from "../support/open-page.js";
import { openScene } from "../support/scene.js";

const database = await createDatabase();

describe.skipIf(!hasBrowser)("the page of the inspector", () => {
  const openPage = useBrowser();

  test("every view in both schemes, wide and narrow: axe finds nothing against it", async () => {
    expectLeft(database, "sessions", "leases", "shares", "waiters");
    await using _scene = await openScene(database);
    const { page, row, go, faults } = await openPage(database.url);
    await shows(row("report:daily"), "held");
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      for (const width of [1_200, 360]) {
        await page.setViewportSize({ width, height: 740 });
        for (const view of [
          "#/",
          "#/key/report%3Adaily",
          "#/key/ledger%3A2026-11",
          "#/sessions",
          "#/graph",
          "#/time",
        ]) {
          await go(view);
          await page.waitForTimeout(200);
          expect(await violations(page), `${view}, ${colorScheme}, ${width}`).toEqual([]);
          const isTooWide = await page.evaluate(
            "document.documentElement.scrollWidth > document.documentElement.clientWidth",
          );
          expect(isTooWide, `${view}, ${colorScheme}, ${width}`).toBe(false);
        }
        await go("#/key/report%3Adaily");
        await page.getByRole("button", { name: "Release by force" }).click();
        expect(await violations(page), `dialog, ${colorScheme}, ${width}`).toEqual([]);
        await page.keyboard.press("Escape");
        await page.keyboard.press("?");
        expect(await violations(page), `help, ${colorScheme}, ${width}`).toEqual([]);
        await page.keyboard.press("Escape");
      }
    }
    expect(faults()).toEqual([]);
  });

  test("nothing moves by itself: who wants no motion sees none, and a page that is open costs little", async () => {
    await using locker = openLocker(database, { presence: "off" });
    await using _lock = await locker.acquire("still");
    const { page, row } = await openPage(database.url);
    await shows(row("still"), "held");
    const widths = new Set<unknown>();
    while (widths.size < 3) {
      widths.add(await page.evaluate("document.querySelector('.grid-shown .fill').style.transform"));
      expect(await page.evaluate("document.getAnimations().length")).toBe(0);
    }
  });

  test("with the keyboard alone: to the rows, through them, into a key and back", async () => {
    expectLeft(database, "leases");
    await using locker = openLocker(database, { presence: "off" });
    for (let n = 100; n < 150; n += 1) await locker.acquire(`row:${n}`);
    const { page, row, faults } = await openPage(database.url);
    await shows(row("row:100"), "held");
    const focused = () => page.evaluate<string>("String(document.activeElement?.innerText ?? '')");
    await page.keyboard.press("Tab");
    expect(await focused()).toContain("Skip to the content");
    await page.keyboard.press("Enter");
    for (let n = 0; n < 30 && !(await focused()).startsWith("row:100"); n += 1) await page.keyboard.press("Tab");
    expect(await focused()).toMatch(/^row:100/);
    await page.keyboard.press("ArrowDown");
    await until("the next row", async () => (await focused()).startsWith("row:101"));
    await page.keyboard.press("End");
    await until("the last row", async () => (await focused()).startsWith("row:149"));
    await page.keyboard.press("k");
    await until("the one above", async () => (await focused()).startsWith("row:148"));
    await page.keyboard.press("Enter");
    await shows(page.locator("h2"), "row:148");
    await page.keyboard.press("Escape");
    await shows(page.locator(".total"), "50 keys");
    await until("back at the row", async () => (await focused()).startsWith("row:148"));
    expect(faults()).toEqual([]);
  });

  test("rows that come and go take neither the focus nor the row that Enter opens", async () => {
    const other = await createDatabase();
    expectLeft(other, "leases");
    await using locker = openLocker(other, { presence: "off" });
    await locker.acquire("m");
    const gone = await locker.acquire("n");
    await locker.acquire("o");
    const { page, row, faults } = await openPage(other.url);
    await shows(row("n"), "held");
    const focused = () => page.evaluate<string>("String(document.activeElement?.innerText ?? '').split('\\n')[0]");
    await page.locator('.grid-row[data-index="0"]').focus();
    for (const key of ["a", "b", "c"]) await locker.acquire(key);
    await shows(page.locator(".total"), "6 keys");
    expect(await focused()).toBe("m");
    await page.keyboard.press("ArrowDown");
    await until("the next row", async () => (await focused()) === "n");
    await locker.acquire("d");
    await shows(page.locator(".total"), "7 keys");
    await page.keyboard.press("Enter");
    await shows(page.locator("h2"), "n");
    await page.keyboard.press("Escape");
    await until("back at the row", async () => (await focused()) === "n");
    await gone.release();
    await shows(page.locator(".total"), "6 keys");
    await until("its neighbour has the focus", async () => (await focused()) === "o");
    expect(faults()).toEqual([]);
  });

  test("who comes back to thousands of rows is where they were; from anywhere Tab leads to a row in view", async () => {
    const other = await createDatabase();
    expectLeft(other, "leases");
    await other.sql`
      insert into leasehold.leases (key, token, fence, owner, ttl_ms, takeover_ms, min_hold_ms, acquired_at, renewed_at, expires_at, acquisitions)
      select 'row:' || lpad(n::text, 5, '0'), gen_random_uuid(), n, 'owner', 1000, 1000, 0, now(), now(), now() + interval '1 hour', 1
        from generate_series(1, 5000) n`;
    const { page, row, faults } = await openPage(other.url);
    await shows(page.locator(".total"), "5000 keys");
    const top = () => page.locator(".grid").evaluate((grid) => grid.scrollTop);
    await page.locator(".grid").evaluate((grid) => {
      grid.scrollTop = 40_000;
    });
    await until("a row far below", async () => (await row("row:01005").count()) === 1);
    expect(await page.locator('.grid-row[tabindex="0"]').count()).toBe(1);
    await row("row:01005").locator("a").click();
    await shows(page.locator("h2"), "row:01005");
    await page.goBack();
    await shows(page.locator(".total"), "5000 keys");
    await until("where it was", async () => Math.abs((await top()) - 40_000) < 100);
    await page.keyboard.press("3");
    await page.keyboard.press("/");
    await until("the search", async () => (await page.evaluate("document.activeElement?.id")) === "search");
    expect(faults()).toEqual([]);
  });
});
