// The page of an inspector in a real browser, for a test that fails where something goes wrong on it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { BrowserContextOptions, Locator, Page } from "playwright-core";
import { onTestFinished } from "vitest";
import type { InspectorOptions } from "../../../src/ui.js";
import { until } from "../../support/until.js";
import { findBrowser, OpenPage } from "./browser.js";
import { type ServedInspector, serveInspector } from "./serve.js";

/** Undefined: there is no browser here, and nothing is tested with one. */
export const browser: string | undefined = await findBrowser();
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export interface TestPage {
  readonly page: Page;
  /** What was done, as `onAct` was told. */
  readonly acts: readonly unknown[];
  readonly served: ServedInspector;
  /** The row of a key, or of a session. */
  row(text: string): Locator;
  /** What went wrong on it, but for files that a test keeps from it. */
  faults(): string[];
  /** Shows another view: the part of its address behind #. */
  go(to: string): Promise<void>;
}

/** Opens the page of a database. It is closed when the test has ended. */
export async function openPage(
  url: string,
  hash = "",
  options: BrowserContextOptions = {},
  inspector: Pick<InspectorOptions, "maxRows"> = {},
): Promise<TestPage> {
  const acts: unknown[] = [];
  const served = await serveInspector({ ...inspector, url, onAct: (act) => acts.push(act) });
  const opened = await OpenPage.open(String(browser), `${served.url}/${hash}`, options);
  onTestFinished(async () => {
    await opened.dispose();
    await served[Symbol.asyncDispose]();
  });
  const { page } = opened;
  return {
    page,
    acts,
    served,
    row: (text) => page.locator(".grid-shown .grid-row").filter({ hasText: text }),
    faults: () => opened.faults.filter((fault) => !/Failed to load resource/.test(fault)),
    go: async (to) => {
      await page.evaluate(`location.hash = ${JSON.stringify(to)}`);
    },
  };
}

/** Waits until a part of the page shows this. */
export async function shows(locator: Locator, text: string | RegExp): Promise<void> {
  let found = "";
  const isThere = async (): Promise<boolean> => {
    found = (await locator.allInnerTexts()).join("\n");
    return typeof text === "string" ? found.includes(text) : text.test(found);
  };
  await until(`it shows ${text}`, isThere).catch((error: Error) => {
    throw new Error(`${error.message}. It shows:\n${found}`);
  });
}

/** What axe finds against WCAG 2.2 A and AA, and what it calls good practice. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const found = (await page.evaluate(
    "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations)",
  )) as { id: string; nodes: { html: string; failureSummary: string }[] }[];
  return found.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html}\n${failureSummary}`));
}
