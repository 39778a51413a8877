import { defineConfig, type ViteUserConfig } from "vitest/config";

const config: ViteUserConfig = defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: "test/support/global-setup.ts",
    setupFiles: "test/support/setup.ts",
    // of its own process each: what a file leaves open is its own, and a frozen event loop freezes nobody else
    pool: "forks",
    maxWorkers: 2,
    // Against what hangs, and nothing else: on a busy machine a test of half a second has taken 16.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 60_000 } },
  },
});

export default config;
