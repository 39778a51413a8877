// The pictures of docs/guides/inspector.md. With LEASEHOLD_SCREENSHOTS=write they are taken anew.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { Locker } from "../../../src/index.js";
import { openClient } from "../../support/client.js";
import { startCluster } from "../../support/cluster.js";
import { openLocker } from "../../support/lockers.js";
import { migrate } from "../../support/migrate.js";
import { until } from "../../support/until.js";
import { hasBrowser, shows, useBrowser } from "../support/open-page.js";
import { openScene } from "../support/scene.js";

const folder = fileURLToPath(new URL("../../../docs/guides/images/", import.meta.url));
const pictures = {
  "inspector-now.png": "#/",
  "inspector-key.png": "#/key/report%3Adaily",
  "inspector-sessions.png": "#/sessions",
  "inspector-deadlocks.png": "#/graph",
  "inspector-over-time.png": "#/time",
  "inspector-dark.png": "#/",
};
const isWriting = process.env.LEASEHOLD_SCREENSHOTS === "write";

test("each picture that the guide shows is there, and each that is there is shown", () => {
  const guide = readFileSync(fileURLToPath(new URL("../../../docs/guides/inspector.md", import.meta.url)), "utf8");
  const shown = [...guide.matchAll(/images\/(inspector-[\w-]+\.png)/g)].map(([, name]) => name);
  expect([...new Set(shown)].sort()).toEqual(Object.keys(pictures).sort());
  if (!isWriting) for (const name of shown) expect(existsSync(`${folder}${name}`), name).toBe(true);
});

/** Half a minute of an application. */
async function work(url: string): Promise<void> {
  const lockers = Array.from({ length: 6 }, () => openLocker(url, { presence: "off", waitMs: 30_000 }));
  const endMs = performance.now() + 40_000;
  const worker = async (locker: Locker, n: number): Promise<void> => {
    while (performance.now() < endMs) {
      const key = Math.random() < 0.3 ? "order:1" : `order:${n}${Math.floor(Math.random() * 900)}`;
      const forMs = 20 + 60 * Math.random() + 30 * Math.sin(performance.now() / 4_000);
      await locker.withLock(key, () => sleep(forMs));
    }
  };
  await Promise.all(lockers.map(worker));
  await Promise.all(lockers.map((locker) => locker.close()));
}

describe.skipIf(!hasBrowser)("the page of the inspector", () => {
  const openPage = useBrowser();

  test("has a picture of each view that is not empty", async () => {
    await using cluster = await startCluster();
    const server = await openClient(cluster.url);
    await server.unsafe("create database shop");
    await server.unsafe("create role operator login superuser password 'operator'");
    const url = `postgres://operator:operator@127.0.0.1:${cluster.port}/shop`;
    await migrate(url);
    const sql = await openClient(url);
    const scene = await openScene({ url, sql });
    const { page, go, row, faults } = await openPage(url, "", { viewport: { width: 1_100, height: 640 } });
    await shows(row("job:backup"), "orphaned");
    await go("#/time");
    await shows(page.locator(".legend").nth(1), /granted [\d.]+\/s/);
    if (isWriting) await work(url); // for lines that have something to say
    for (const [name, hash] of Object.entries(pictures)) {
      await page.emulateMedia({ colorScheme: name.includes("dark") ? "dark" : "light" });
      await go(hash);
      await until("the view is there", async () => (await page.locator("main .view").count()) === 1);
      await page.waitForTimeout(400);
      const picture = await page.screenshot(name.includes("over-time") ? { fullPage: true } : {});
      expect(picture.length, name).toBeGreaterThan(10_000);
      if (isWriting) writeFileSync(`${folder}${name}`, picture);
    }
    expect(faults()).toEqual([]);
    await scene[Symbol.asyncDispose]();
    await Promise.all([sql.end(), server.end()]);
  });
});
