// The pictures of docs/guides/inspector.md. With LEASEHOLD_SCREENSHOTS=write they are taken anew.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { openClient } from "../../support/client.js";
import { startCluster } from "../../support/cluster.js";
import { migrate } from "../../support/migrate.js";
import { until } from "../../support/until.js";
import { browser, openPage, shows } from "../support/open-page.js";
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

describe.skipIf(browser === undefined)("the page of the inspector", () => {
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
    if (isWriting) await page.waitForTimeout(25_000); // for lines of some length
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
