// Names that try to become a part of the page.
import { describe, expect, test } from "vitest";
import { createDatabase } from "../../support/database.js";
import { openLocker } from "../../support/lockers.js";
import { hasBrowser, shows, useBrowser } from "../support/open-page.js";

const database = await createDatabase();

describe.skipIf(!hasBrowser)("the page of the inspector", () => {
  const openPage = useBrowser();

  test("nothing of it can be made to run: keys, owners, hosts and metadata that try", async () => {
    const evil = [
      `<img src=x onerror="window.hurt=1">`,
      `"><script>window.hurt=1</script>`,
      `'-window.hurt=1-'`,
      `javascript:window.hurt=1`,
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is what somebody might try
      "${window.hurt=1}{{window.hurt=1}}",
      `</div><svg/onload=window.hurt=1>`,
      `\u202eevil\u0007`,
      `event: trouble\ndata: {}\n\n`,
    ];
    await using locker = openLocker(database, { owner: evil[0] ?? "" });
    const locks = await Promise.all(
      evil.map((text) =>
        locker.acquire(text, { owner: text.replace(/[^ -~\u202e]/g, ""), metadata: { [text]: [text] } }),
      ),
    );
    await using other = openLocker(database, { owner: evil[5] ?? "", waitMs: 600_000 });
    const stop = new AbortController();
    const waiting = evil.map((text) => other.acquire(text, { signal: stop.signal }).catch(() => undefined));
    const { page, row, go, faults } = await openPage(database.url);
    for (const text of evil.slice(0, 6)) await shows(row(text), text);
    await shows(page.locator(".grid-shown"), "\\u{202e}evil\\u{7}");
    await shows(page.locator(".grid-shown"), "event: trouble\\u{a}data: {}\\u{a}\\u{a}");
    for (const view of ["#/sessions", "#/graph", "#/time", "#/"]) {
      await go(view);
      await page.waitForTimeout(300);
    }
    for (const text of evil) {
      await go(`#/key/${encodeURIComponent(text)}`);
      await shows(page.locator("main"), "it alone");
      await shows(page.locator(".metadata"), "[");
      await page.getByRole("button", { name: "Release by force" }).click();
      await shows(page.locator("dialog"), "is taken from");
      await page.getByRole("button", { name: "Cancel" }).click();
    }
    // a key from the address alone
    await go(`#/key/${encodeURIComponent("<img src=x onerror=window.hurt=1>")}`);
    await shows(page.locator("h2"), "<img src=x onerror=window.hurt=1>");
    expect(await page.evaluate("window.hurt")).toBeUndefined();
    expect(await page.locator("img, script:not([src]), iframe, main svg script").count()).toBe(0);
    expect(faults()).toEqual([]);
    stop.abort();
    await Promise.all(waiting);
    await Promise.all(locks.map((lock) => lock.release()));
  });
});
