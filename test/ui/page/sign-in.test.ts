// leasehold ui in a real browser: the address that it prints, followed from elsewhere.
import { describe, expect, test } from "vitest";
import { CliProcess } from "../../support/cli.js";
import { cliProgram } from "../../support/compiled.js";
import { createDatabase } from "../../support/database.js";
import { hasBrowser, shows, useBrowser } from "../support/open-page.js";

const database = await createDatabase();

describe.skipIf(!hasBrowser)("the page of the inspector", () => {
  const openPage = useBrowser();

  test("opens from a link on another site, once; a second browser is told where to go", async () => {
    await using ui = new CliProcess(cliProgram(), ["ui", "--port", "0"], { url: database.url });
    await ui.wrote(/token=\S+\n/);
    const link = ui.stdout.trim();
    const { origin } = new URL(link);
    {
      const elsewhere = origin.replace("127.0.0.1", "localhost"); // for a browser this is another site
      await using opened = await openPage.at(`${elsewhere}/`);
      await shows(opened.page.locator("body"), "Open the address that leasehold ui has printed last.");
      await opened.page.setContent(`<a href="${link}">the locks</a>`);
      await opened.page.getByText("the locks").click();
      await shows(opened.page.locator(".live"), "Live");
      expect(opened.page.url()).toBe(`${origin}/`);
    }
    {
      await using opened = await openPage.at(link);
      await shows(opened.page.locator("body"), "This address was used already.");
    }
    ui.kill("SIGINT");
    expect((await ui.result).code).toBe(0);
  });
});
