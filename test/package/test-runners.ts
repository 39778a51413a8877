import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Check } from "./report.js";
import { run } from "./run.js";
import { matrix, root, type Workplace } from "./workplace.js";

/** As people have them: TypeScript compiled to CommonJS, as Nest's template does, and every module in a realm of the runner's own. */
const jestConfig = {
  testEnvironment: "node",
  roots: ["<rootDir>/jest"],
  transform: {
    "^.+\\.ts$": [
      "ts-jest",
      {
        tsconfig: {
          module: "commonjs",
          moduleResolution: "node10",
          target: "es2022",
          strict: true,
          esModuleInterop: true,
          skipLibCheck: true,
          types: ["node"],
        },
      },
    ],
  },
};

export function testRunners(workplace: Workplace): readonly Check[] {
  const { consumer } = workplace;
  return [
    {
      name: "Jest with ts-jest, in CommonJS",
      run: async () => {
        await writeFile(join(consumer, "jest.config.json"), JSON.stringify(jestConfig));
        const jest = join(matrix, "node_modules/jest/bin/jest.js");
        const args = [jest, "--ci", "--no-cache", "--json", "--config", "jest.config.json"];
        const output = await run(process.execPath, args, consumer, { DATABASE_URL: await workplace.database() });
        expectAll(JSON.parse(output));
      },
    },
    {
      name: "vitest",
      run: async () => {
        const vitest = join(root, "node_modules/vitest/vitest.mjs");
        const alias = { test: { alias: { vitest: join(root, "node_modules/vitest/dist/index.js") } } };
        await writeFile(join(consumer, "vitest.config.json.mjs"), `export default ${JSON.stringify(alias)};`);
        const args = [vitest, "run", "--dir", "vitest", "--reporter", "json", "--config", "vitest.config.json.mjs"];
        const output = await run(process.execPath, args, consumer, { DATABASE_URL: await workplace.database() });
        expectAll(JSON.parse(output));
      },
    },
    {
      name: "node:test, with and without its mock timers",
      run: async () => {
        const file = "node-test/test-locker.test.mjs";
        const output = await run(process.execPath, ["--test", "--test-reporter", "tap", file], consumer);
        const [passed = 0, total = 0] = ["pass", "tests"].map((word) =>
          Number(new RegExp(`^# ${word} (\\d+)$`, "m").exec(output)?.[1]),
        );
        if (passed !== total || passed < 10) throw new Error(`${passed} of ${total} tests passed`);
      },
    },
  ];
}

/** The test of a lock, and those that every store has to pass. */
function expectAll({ numPassedTests, numTotalTests }: { numPassedTests: number; numTotalTests: number }): void {
  if (numPassedTests !== numTotalTests || numPassedTests < 50)
    throw new Error(`${numPassedTests} of ${numTotalTests} tests passed`);
}
