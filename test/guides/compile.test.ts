// Every block of TypeScript in the guides compiles, every block of JavaScript is JavaScript, and what they name is there.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { transform } from "esbuild";
import { expect, test } from "vitest";
import { resolveLockerOptions } from "../../src/config/resolve-options.js";
import { HeldLock } from "../../src/hold/held-lock.js";
import { StoreLocker } from "../../src/locker/store-locker.js";
import { blocks, createProject, pages, root } from "./pages.js";

const run = promisify(execFile);

test("every block of TypeScript compiles", async () => {
  const examples = blocks("ts");
  expect(examples.length).toBeGreaterThan(20);
  // The name tells where it is, for the compiler's messages.
  const files = examples.map(({ page, text }, index) => [
    `${page.replaceAll(/\W/g, "-")}-${index}.ts`,
    `${text}\nexport {};\n`,
  ]);
  const folder = await createProject(Object.fromEntries(files));
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const result = await run(process.execPath, [compiler, "-p", folder]).catch((error: { stdout: string }) => error);
  expect(result.stdout).toBe("");
});

test.each(blocks("js"))("$page: what was there before is JavaScript", async ({ text }) => {
  await expect(transform(text, { loader: "js", format: "esm" })).resolves.toMatchObject({ warnings: [] });
});

/**
 * What stands as code in the running text, and in the last column of a table, or in the one before where the last one names tests: in the others
 * stands the other library.
 */
function* codeOf(text: string): Generator<string> {
  const prose = text.replaceAll(/^```.*?^```/gms, "");
  const column = /^\|.*\| shown by \|$/m.test(prose) ? -3 : -2;
  for (const line of prose.split("\n")) {
    const ours = line.startsWith("|") ? (line.split(/(?<!\\)\|/).at(column) ?? "") : line;
    for (const [, code = ""] of ours.matchAll(/`([^`]+)`/g)) yield code;
  }
}

test.each(pages)("$path names options and methods that are there", ({ path, text }) => {
  const { targets, ...options } = resolveLockerOptions({ url: "postgres://localhost/app" });
  const times = new Set([
    ...Object.keys(options),
    "drainMs",
    "lockTimeoutMs",
    ...["delayMs", "stepMs", "firstMs", "maxDelayMs"],
    "heldMs",
    "everyMs",
    "remainingMs",
    "nowMs",
    "expiresAtMs",
    "notAfterMs",
  ]);
  const members = {
    locker: Object.getOwnPropertyNames(StoreLocker.prototype),
    lock: Object.getOwnPropertyNames(HeldLock.prototype),
  };
  for (const code of codeOf(text)) {
    for (const [name] of code.matchAll(/\b[a-z]\w*Ms\b/g)) expect(times, `${path}: ${code}`).toContain(name);
    // The other libraries have locks, too: of those the pages speak in their own running text.
    if (path.startsWith("docs/coming-from/") && !code.includes("locker.")) continue;
    for (const [, owner = "lock", name = ""] of code.matchAll(/\b(locker|lock)\.(\w+)/g)) {
      expect(members[owner as "lock"], `${path}: ${code}`).toContain(name);
    }
  }
});
