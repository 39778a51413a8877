import { defineConfig, type ViteUserConfig } from "vitest/config";

const everything = ["test/**/*.test.ts"];
/** What depends on how a connection is made and lost. It runs over TLS, too: `npx vitest run --project tls`. */
const overTls = [
  "test/tls/**/*.test.ts",
  "test/support/{cluster,proxy}.test.ts",
  "test/faults/*.test.ts",
  "test/presence/*.test.ts",
];

// Not beside `projects`: vitest would start one more server, for no project.
const globalSetup = "test/support/global-setup.ts";

const config: ViteUserConfig = defineConfig({
  test: {
    setupFiles: "test/support/setup.ts",
    // of its own process each: what a file leaves open is its own, and a frozen event loop freezes nobody else
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      { extends: true, test: { name: "tcp", globalSetup, include: everything, exclude: ["test/tls/**"] } },
      { extends: true, test: { name: "tls", globalSetup, include: overTls, env: { LEASEHOLD_TEST_TRANSPORT: "tls" } } },
    ],
  },
});

export default config;
