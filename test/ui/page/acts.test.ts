// What can be done from the page, in a real browser: with a question before, and an answer after.
import { describe, expect, test } from "vitest";
import { createDatabase, createRole } from "../../support/database.js";
import { openLocker } from "../../support/lockers.js";
import { until } from "../../support/until.js";
import { hasBrowser, shows, useBrowser, violations } from "../support/open-page.js";

const database = await createDatabase();
const { sql } = database;

describe.skipIf(!hasBrowser)("the page of the inspector", () => {
  const openPage = useBrowser();

  test("a release by force: says what it does and when, wants to be confirmed, tells what came of it", async () => {
    await using locker = openLocker(database, { owner: "holder", presence: "off" });
    const lock = await locker.acquire("forced", { ttlMs: 60_000, keepAlive: false });
    const { page, acts, faults } = await openPage(database.url, "#/key/forced");
    await page.getByRole("button", { name: "Release by force" }).click();
    const dialog = page.locator("dialog");
    await shows(dialog, /forced is taken from holder/);
    await shows(dialog, /free in \d+ s at the latest/);
    await page.keyboard.press("Escape");
    await until("the dialog is closed", async () => (await dialog.count()) === 0);
    expect(acts).toEqual([]);
    expect(await locker.check("forced")).toMatchObject({ state: "held" });

    await page.getByRole("button", { name: "Release by force" }).click();
    await page.getByRole("button", { name: "Take it away" }).click();
    await shows(dialog, "It was taken away.");
    await page.getByRole("button", { name: "Close" }).click();
    expect(acts).toMatchObject([{ key: "forced", fence: lock.fence, immediate: false, outcome: "revoked" }]);
    await shows(page.locator(".title"), "revoked");
    await shows(page.locator(".events"), "revoked holder");

    await page.getByRole("button", { name: "Release by force" }).click();
    await page.getByLabel(/^At once/).click();
    const button = page.getByRole("button", { name: "Free it at once" });
    expect(await button.isDisabled()).toBe(true);
    await page.getByLabel("I know that two may hold it.").click();
    await button.click();
    await shows(dialog, "It is free");
    expect(await locker.isLocked("forced")).toBe(false);
    expect(acts).toHaveLength(2);
    await page.getByRole("button", { name: "Close" }).click();

    await page.getByRole("button", { name: "Sweep…" }).click();
    await page.getByRole("button", { name: "Sweep now" }).click();
    await shows(dialog, /Swept: |There was nothing to sweep./);
    expect(acts).toHaveLength(3);
    await lock.release().catch(() => undefined);
    expect(faults()).toEqual([]);
  });

  test("a key that changes hands while the question is asked: nobody else's lock is taken", async () => {
    await using locker = openLocker(database, { owner: "first", presence: "off" });
    const first = await locker.acquire("moves");
    const { page, acts, faults } = await openPage(database.url, "#/key/moves");
    await page.getByRole("button", { name: "Release by force" }).click();
    await shows(page.locator("dialog"), "moves is taken from first.");
    await first.release();
    await using second = await locker.acquire("moves", { owner: "second" });
    await shows(page.locator("dialog"), "moves has another holder now");
    expect(await page.getByRole("button", { name: "Take it away" }).isDisabled()).toBe(true);
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("button", { name: "Release by force" }).click();
    await shows(page.locator("dialog"), "moves is taken from second.");
    await page.keyboard.press("Escape");
    expect(acts).toEqual([]);
    expect(second.held).toBe(true);
    expect(faults()).toEqual([]);
  });

  test("all who share a key, when others have it meanwhile: nobody is taken it from who was not named", async () => {
    await using one = openLocker(database, { owner: "one", presence: "off" });
    await using two = openLocker(database, { owner: "two", presence: "off" });
    await using three = openLocker(database, { owner: "three", presence: "off" });
    const first = await one.acquire("all", { shared: true });
    const second = await two.acquire("all", { shared: true });
    const { page, acts, faults } = await openPage(database.url, "#/key/all");
    await page.getByRole("button", { name: "Release by force" }).click();
    await shows(page.locator("dialog"), "all is taken from one, two.");
    const third = await three.acquire("all", { shared: true });
    await shows(page.locator(".view-key > .card").nth(2), "three");
    await shows(page.locator("dialog"), "all is taken from one, two.");
    await page.getByRole("button", { name: "Take it away" }).click();
    await shows(page.locator("dialog"), "It was taken away.");
    expect(acts).toMatchObject([{ fence: first.fence }, { fence: second.fence }]);
    expect(third.held).toBe(true);
    await page.getByRole("button", { name: "Close" }).click();

    for (const lock of [first, second]) await lock.release().catch(() => undefined);
    const fourth = await two.acquire("all", { shared: true });
    await until("the page knows both", async () => {
      const cards = await page.locator(".view-key > .card").allInnerTexts();
      return cards.length === 2 && cards.some((card) => card.includes(String(fourth.fence)));
    });
    await page.getByRole("button", { name: "Release by force" }).click();
    await shows(page.locator("dialog"), "all is taken from three, two.");
    for (const lock of [third, fourth]) await lock.release();
    await using _alone = await one.acquire("all");
    await shows(page.locator("dialog"), "has another holder now");
    expect(await page.getByRole("button", { name: "Take it away" }).isDisabled()).toBe(true);
    expect(acts).toHaveLength(2);
    expect(faults()).toEqual([]);
  });

  test("of several who share a key, one can be chosen", async () => {
    await using one = openLocker(database, { owner: "one", presence: "off" });
    await using two = openLocker(database, { owner: "two", presence: "off" });
    const [first, second] = [await one.acquire("both", { shared: true }), await two.acquire("both", { shared: true })];
    const { page, acts, faults } = await openPage(database.url, "#/key/both");
    await page.getByRole("button", { name: "Release by force" }).click();
    await shows(page.locator("dialog"), "is taken from one, two");
    await page.getByLabel("From whom").selectOption(String(second.fence));
    await shows(page.locator("dialog"), "is taken from two.");
    await page.getByLabel(/^At once/).click();
    await page.getByLabel("I know that two may hold it.").click();
    await page.getByRole("button", { name: "Free it at once" }).click();
    await shows(page.locator("dialog"), "It is free");
    expect(acts).toMatchObject([{ fence: second.fence }]);
    await second.release().catch(() => undefined);
    await first.release();
    expect(faults()).toEqual([]);
  });

  test("who may only look sees no act; who may not even look is told what gives the right", async () => {
    const role = await createRole(database);
    await using locker = openLocker(database, { owner: "holder" });
    await using _lock = await locker.acquire("looked-at");
    const { page, row, faults } = await openPage(role.url);
    await shows(page.locator(".banner"), "This role may not look.");
    await shows(page.locator(".banner"), `select leasehold.grant_monitoring('${role.name}');`);
    expect(await violations(page)).toEqual([]);
    await sql.unsafe(`select leasehold.grant_monitoring('${role.name}')`);
    await row("looked-at").locator("a").click();
    await shows(page.locator("main"), "How to free it");
    expect(await page.getByRole("button", { name: /force|sweep/i }).count()).toBe(0);
    expect(faults()).toEqual([]);
  });
});
