import { setTimeout as sleep } from "node:timers/promises";
import { test } from "vitest";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { findBrowser, OpenPage } from "./support/browser.js";
import { openScene } from "./support/scene.js";
import { serveInspector } from "./support/serve.js";

const program = await findBrowser();
const database = await createDatabase();
test("look", async () => {
  expectLeft(database, "sessions", "leases", "shares", "waiters");
  await using scene = await openScene(database);
  await using served = await serveInspector({ url: database.url });
  await using open = await OpenPage.open(program ?? "", `${served.url}/`);
  const { page } = open;
  await sleep(15_000);
  for (const [name, hash] of [
    ["now", "#/"],
    ["key", "#/key/report%3Adaily"],
    ["blocked", "#/key/ledger%3A2026-11"],
    ["sessions", "#/sessions"],
    ["graph", "#/graph"],
    ["time", "#/time"],
  ]) {
    await page.goto(`${served.url}/${hash}`);
    await sleep(700);
    await page.screenshot({ path: `/tmp/shots/${name}.png`, fullPage: true });
  }
  await page.emulateMedia({ colorScheme: "dark" });
  await page.goto(`${served.url}/#/`);
  await sleep(700);
  await page.screenshot({ path: `/tmp/shots/now-dark.png` });
  await page.setViewportSize({ width: 390, height: 800 });
  await sleep(700);
  await page.screenshot({ path: `/tmp/shots/now-narrow.png` });
  console.log(open.faults.join("\n"), scene.dead !== null);
});
