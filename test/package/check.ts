// npm run check:package: the package as a stranger gets it. It is packed, installed from its tarball, and used in every way that it
// promises. The checks of one subject are in a file of their own.
import { writeFile } from "node:fs/promises";
import { bundles } from "./bundles.js";
import { commandLine } from "./command-line.js";
import { examples } from "./examples.js";
import { firstExample } from "./first-example.js";
import { installConsumer, installMatrix } from "./install.js";
import { loading } from "./loading.js";
import { otherRuntimes } from "./other-runtimes.js";
import { ownTemporaryFolder } from "./own-temporary-folder.js";
import { Report } from "./report.js";
import { tarball } from "./tarball.js";
import { testRunners } from "./test-runners.js";
import { types } from "./types.js";
import { Workplace } from "./workplace.js";

const report = new Report();
const start = performance.now();
{
  await using _temporary = await ownTemporaryFolder();
  if (await report.one(installMatrix)) await check();
}

const { passed, failed } = report;
console.log(`package: ${passed} passed, ${failed} failed, ${Math.round((performance.now() - start) / 1_000)} s`);
// for .ci/run, which adds up
if (process.env.CHECK_COUNTS) await writeFile(process.env.CHECK_COUNTS, `${passed} ${failed}\n`);
process.exitCode = failed === 0 ? 0 : 1;

async function check(): Promise<void> {
  await using workplace = await Workplace.open();
  if (!(await report.one(installConsumer(workplace)))) return;
  const subjects = [types, examples, testRunners, otherRuntimes, tarball, bundles, loading, commandLine, firstExample]; // the slowest first
  await report.all(subjects.flatMap((checks) => checks(workplace)));
}
