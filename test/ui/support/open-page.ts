// The page of an inspector in a real browser, for a test that fails where something goes wrong on it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";
import { afterAll, beforeAll, onTestFinished } from "vitest";
import type { InspectorOptions } from "../../../src/ui.js";
import { until } from "../../support/until.js";
import { findBrowser, launch, OpenPage } from "./browser.js";
import { type ServedInspector, serveInspector } from "./serve.js";

const program = await findBrowser();
/** False: nothing is tested in a browser. */
export const hasBrowser: boolean = program !== undefined;
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

type SomeOptions = Pick<InspectorOptions, "maxRows">;

export interface PageOpener {
  /** Opens the page of a database. It is closed when the test has ended. */
  (url: string, hash?: string, options?: BrowserContextOptions, inspector?: SomeOptions): Promise<TestPage>;
  /** Another address, closed by the caller. */
  at(url: string): Promise<OpenPage>;
}

/** In a `describe`: one browser for its tests. */
export function useBrowser(): PageOpener {
  let browser: Browser | undefined;
  const launched = (): Browser => {
    if (browser === undefined) throw new Error("the browser is not launched yet");
    return browser;
  };
  beforeAll(async () => {
    browser = await launch(String(program));
  });
  afterAll(async () => {
    await browser?.close();
  });
  const openPage = (url: string, ...rest: [hash?: string, options?: BrowserContextOptions, inspector?: SomeOptions]) =>
    open(launched(), url, ...rest);
  return Object.assign(openPage, { at: (url: string) => OpenPage.open(launched(), url) });
}

async function open(
  browser: Browser,
  url: string,
  hash = "",
  options: BrowserContextOptions = {},
  inspector: SomeOptions = {},
): Promise<TestPage> {
  const acts: unknown[] = [];
  const served = await serveInspector({ ...inspector, url, onAct: (act) => acts.push(act) });
  const opened = await OpenPage.open(browser, `${served.url}/${hash}`, options);
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
