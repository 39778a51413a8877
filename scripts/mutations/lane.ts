// A process of its own in a copy of the project, which keeps vitest, its server and the migrated template up from one mutation to the next:
// what a test file costs is only its own time. Started by Lane (lanes.ts), with which it speaks in messages.
import { createVitest } from "vitest/node";
import type { Answer, Request } from "./lanes.js";

const quiet = { onInit() {} };
const vitest = await createVitest(
  "test",
  { watch: false, bail: 1, project: ["tcp"], reporters: [quiet], maxWorkers: 3 },
  // vitest waits for its workers itself; nothing is to be kept on a disk
  { logLevel: "silent" },
);

/** Runs these files until one test fails. */
async function run(files: readonly string[]): Promise<Answer> {
  vitest.state.filesMap.clear();
  vitest.state.errorsSet.clear();
  const { testModules, unhandledErrors } = await vitest.start([...files]);
  const { server } = vitest.getProjectByName("tcp").getProvidedContext();
  const failed = testModules.flatMap((module) => [...module.children.allTests("failed")])[0];
  const broken = testModules.flatMap((module) => module.errors())[0] ?? unhandledErrors[0];
  const failure =
    failed !== undefined
      ? { test: failed.fullName, message: failed.result().errors?.[0]?.message ?? "" }
      : broken !== undefined
        ? { test: files.join(", "), message: String((broken as { message?: unknown }).message ?? broken) }
        : null;
  return { failure, server };
}

process.on("message", (request: Request) => {
  void run(request.files).then(
    (answer) => process.send?.(answer),
    (error) =>
      process.send?.({ failure: { test: request.files.join(", "), message: String(error?.message ?? error) } }),
  );
});
process.on("disconnect", () => {
  void vitest.close().finally(() => process.exit());
});
process.send?.({ ready: true });
