// A process of its own in a copy of the project, which keeps vitest, its server and the migrated template up from one mutation to the next:
// what a test file costs is only its own time. Started by Lane (lanes.ts), with which it speaks in messages.
import { join } from "node:path";
import { createVitest } from "vitest/node";
import { compileAgain } from "../../test/support/compiled.js";
import type { Answer, Request } from "./lanes.js";

const vitest = await createVitest(
  "test",
  // a fault that makes a test hang is found sooner than in vitest.config.ts
  { watch: false, bail: 1, project: ["unit", "tcp"], reporters: [{ onInit() {} }], maxWorkers: 3, testTimeout: 60_000 },
  { logLevel: "silent" },
);
let isSetUp = false;

/** Runs these files until one test fails. `changed`: the sources that are not what they were. */
async function run({ files, changed }: Request): Promise<Answer> {
  vitest.state.filesMap.clear();
  vitest.state.errorsSet.clear();
  for (const file of changed) vitest.invalidateFile(join(process.cwd(), file));
  if (changed.length > 0 && isSetUp) await compileAgain();
  const { testModules, unhandledErrors } = await vitest.start([...files]);
  isSetUp ||= files.some((file) => !file.startsWith("test/unit/"));
  const { server } = vitest.getProjectByName("tcp").getProvidedContext();
  const failed = testModules.flatMap((module) => [...module.children.allTests("failed")])[0];
  const broken = testModules.flatMap((module) => module.errors())[0] ?? unhandledErrors[0];
  return {
    failure:
      failed !== undefined
        ? { test: failed.fullName, message: failed.result().errors?.[0]?.message ?? "" }
        : broken !== undefined
          ? { test: files.join(", "), message: String((broken as { message?: unknown }).message ?? broken) }
          : null,
    ...(server === undefined ? {} : { server }),
  };
}

process.on("message", (request: Request) => {
  void run(request).then(
    (answer) => process.send?.(answer),
    (error) =>
      process.send?.({ failure: { test: request.files.join(", "), message: String(error?.message ?? error) } }),
  );
});
process.on("disconnect", () => {
  void vitest.close().finally(() => process.exit());
});
process.send?.({ ready: true });
