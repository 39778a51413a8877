import { randomBytes } from "node:crypto";
import type { TestProject } from "vitest/node";
import { changeUrl, openClient } from "./client.js";
import { compileAgain, compileSources } from "./compiled.js";
import { createFrom } from "./create-database.js";
import type { TestServer } from "./database.js";
import { dropAll } from "./drop-all.js";
import { guard } from "./guardian.js";
import { migrate } from "./migrate.js";
import { startPooler } from "./pooler.js";
import { type SharedServer, startSharedServer, startTlsServer } from "./server.js";
import { removeBinariesCopy } from "./server-binaries.js";
import { keepServersInMemory, prepareTemplate, removeTemplate } from "./server-folder.js";
import { transportVariable } from "./transport.js";

// For a server that outlives a run that is killed. Its address is in the environment, out of sight of ps.
const dropScript = `
  const { dropAll } = await import(${JSON.stringify(new URL("./drop-all.ts", import.meta.url).href)});
  if (process.env.TEST_DATABASE_URL) await dropAll(process.env.TEST_DATABASE_URL, process.argv.at(-1));`;

/** Starts what all test files share; what it returns takes it down again. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const undo: (() => Promise<void>)[] = [removeBinariesCopy, removeTemplate];
  const tearDown = async () => {
    for (const step of undo.reverse()) await step();
  };
  try {
    const isOverTls = project.config.env?.[transportVariable] === "tls";
    await keepServersInMemory();
    undo.push(await compileSources());
    project.onTestsRerun(compileAgain);
    const isTemplateNeeded = isOverTls || !process.env.TEST_DATABASE_URL;
    if (isTemplateNeeded) await prepareTemplate();
    const server = isOverTls ? await startTlsServer() : await startSharedServer();
    undo.push(server.stop);
    await announce(server);
    const pooler = await startPooler(server);
    if (pooler !== undefined) {
      undo.push(pooler.stop);
      console.log(`[tests] through ${pooler.what}`);
    }
    const prefix = `leasehold_test_${randomBytes(3).toString("hex")}`;
    const guardian = guard(
      'exec "$@"',
      process.execPath,
      "--import",
      "tsx",
      "--input-type=module",
      "-e",
      dropScript,
      prefix,
    );
    undo.push(async () => {
      await dropAll(server.url, prefix);
      guardian.release();
    });
    project.provide("server", {
      url: server.url,
      prefix,
      template: await makeTemplate(server.url, `${prefix}_template`),
    });
    return tearDown;
  } catch (error) {
    await tearDown();
    throw error;
  }
}

async function announce(server: SharedServer): Promise<void> {
  const sql = await openClient(server.url);
  const [row] = await sql`show server_version`;
  await sql.end({ timeout: 1 });
  console.log(`[tests] Postgres ${row?.server_version}, ${server.what}, port ${new URL(server.url).port || 5432}`);
}

/** A failure is told by the tests that need it: others may run meanwhile. */
async function makeTemplate(server: string, name: string): Promise<TestServer["template"]> {
  await createFrom(server, name, "template0");
  try {
    await migrate(changeUrl(server, { database: name }));
    return { name };
  } catch (error) {
    return { error: error instanceof Error ? `${error.stack}` : String(error) };
  }
}
