// A short version of npm run soak:ui.
import { describe, expect, test } from "vitest";
import { createDatabase } from "../../support/database.js";
import { openLocker } from "../../support/lockers.js";
import { most, watchPage } from "../long-open/watch-page.js";
import { hasBrowser, useBrowser } from "../support/open-page.js";

const database = await createDatabase();

describe.skipIf(!hasBrowser)("the page of the inspector", () => {
  const openPage = useBrowser();

  test("open while a thousand keys change hands every second, it needs no more than at first", async () => {
    await using locker = openLocker(database, { presence: "off", keepAlive: false });
    const { page, faults } = await openPage(database.url);
    const samples = await watchPage(page, locker, { seconds: 24, everySeconds: 4 });
    const [early, late] = [most(samples.slice(1, 3)), most(samples.slice(-2))];
    expect(Math.max(...samples.map(({ keys }) => keys))).toBeGreaterThan(100);
    expect(late.heapBytes).toBeLessThan(early.heapBytes + 4_000_000);
    expect(late.nodes).toBeLessThan(early.nodes * 1.5 + 500);
    expect(late.listeners).toBeLessThan(early.listeners * 1.5 + 100);
    expect(faults()).toEqual([]);
  });
});
