// What the page says where there is nothing to show.
import { describe, expect, test } from "vitest";
import { createDatabase, createEmptyDatabase } from "../../support/database.js";
import { PostgresProxy } from "../../support/proxy.js";
import { hasBrowser, shows, useBrowser, violations } from "../support/open-page.js";

describe.skipIf(!hasBrowser)("the page of the inspector", () => {
  const openPage = useBrowser();

  test("empty, not migrated, disconnected, without its server: each says what to do", async () => {
    const other = await createDatabase();
    const proxy = await PostgresProxy.start(other.url);
    const { page, served } = await openPage(proxy.url(other.url));
    await shows(page.locator(".grid-empty"), "Nothing is held, and nobody waits.");
    expect(await violations(page)).toEqual([]);
    await proxy.refuse(true);
    proxy.cutAll();
    await shows(page.locator(".banner"), "Postgres cannot be reached.");
    await shows(page.locator(".banner"), "What you see is what it was.");
    expect(await violations(page)).toEqual([]);
    await proxy.refuse(false);
    await shows(page.locator(".live"), "Live");
    await served[Symbol.asyncDispose]();
    await shows(page.locator(".banner"), "The inspector does not answer.");
    expect(await violations(page)).toEqual([]);
    await proxy.close();

    const empty = await createEmptyDatabase();
    const second = await openPage(empty.url);
    await shows(second.page.locator(".banner"), "The schema is not there, or of another version.");
    await shows(second.page.locator(".banner"), "npx leasehold migrate");
    expect(await violations(second.page)).toEqual([]);
    expect(second.faults()).toEqual([]);
  });
});
