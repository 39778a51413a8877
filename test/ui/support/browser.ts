// A real browser: Debian's chromium, driven by playwright-core.
import { existsSync } from "node:fs";
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { findProgram } from "../../support/find-program.js";
import { closed, opened } from "../../support/resources.js";

/** The path of a browser, or undefined. `LEASEHOLD_TEST_BROWSER` names another than those that are looked for. */
export async function findBrowser(): Promise<string | undefined> {
  const named = process.env.LEASEHOLD_TEST_BROWSER;
  if (named) {
    if (!existsSync(named)) throw new Error(`LEASEHOLD_TEST_BROWSER: there is no ${named}`);
    return named;
  }
  return (await findProgram("chromium")) ?? (await findProgram("google-chrome"));
}

/** On a busy machine a click may have to wait. */
const PATIENCE_MS = 120_000;

/** Without a window. Whoever launches it closes it. */
export function launch(program: string): Promise<Browser> {
  const isRoot = process.getuid?.() === 0;
  return chromium.launch({
    executablePath: program,
    args: ["--disable-dev-shm-usage", "--enable-precise-memory-info", ...(isRoot ? ["--no-sandbox"] : [])],
    timeout: PATIENCE_MS,
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
  });
}

/** A page, and what went wrong on it: whoever closes it is told. */
export class OpenPage implements AsyncDisposable {
  readonly name = "a page in a browser";
  readonly page: Page;
  readonly #context: BrowserContext;
  /** Errors of scripts, of the policy of contents, and requests that went anywhere else. */
  readonly faults: string[] = [];

  private constructor(context: BrowserContext, page: Page, origin: string) {
    this.#context = context;
    this.page = page;
    page.on("pageerror", (error) => this.faults.push(`error: ${error.message}`));
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") this.faults.push(`console: ${message.text()}`);
    });
    page.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(`${origin}/`) && !url.startsWith("data:")) this.faults.push(`request to ${url}`);
    });
    page.on("dialog", (dialog) => {
      this.faults.push(`dialog: ${dialog.message()}`);
      dialog.dismiss().catch(() => undefined);
    });
    opened(this);
  }

  static async open(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<OpenPage> {
    const context = await browser.newContext({ viewport: { width: 1_200, height: 760 }, ...options });
    const page = new OpenPage(context, await context.newPage(), new URL(url).origin);
    page.page.setDefaultTimeout(PATIENCE_MS);
    await page.page.goto(url);
    return page;
  }

  async dispose(): Promise<void> {
    await this.#context.close();
    closed(this);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}
