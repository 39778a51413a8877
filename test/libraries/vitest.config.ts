// npm run check:libraries. Not a project of the other tests: what is tested here has packages of its own.
import { fileURLToPath } from "node:url";
import { defineConfig, type ViteUserConfig } from "vitest/config";

const config: ViteUserConfig = defineConfig({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  test: {
    pool: "forks",
    maxWorkers: 4,
    testTimeout: 60_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 60_000 } },
    globalSetup: "test/support/global-setup.ts",
    setupFiles: "test/support/setup.ts",
    include: ["test/libraries/*.test.ts"],
  },
});

export default config;
