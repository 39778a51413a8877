import { fileURLToPath } from "node:url";
import { defineConfig, type ViteUserConfig } from "vitest/config";
import { SpreadOut } from "./test/support/spread-out.js";

/** As a user imports it: what examples/ has. The same for the compiler and tsx is in tsconfig.json. */
const source = (name: string): string => fileURLToPath(new URL(`src/${name}.ts`, import.meta.url));
const alias = [
  { find: /^leasehold$/, replacement: source("index") },
  { find: /^leasehold\/(\w+)$/, replacement: source("$1") },
];

const everything = ["test/**/*.test.ts"];
/** Needs no server, and time passes there only when a test says so: `npm run test:unit`. */
const unit = ["test/unit/**/*.test.ts", "test/campaign/check/*.test.ts"];
/** With packages of their own: `npm run check:libraries`. */
const libraries = ["test/libraries/**"];
/** The project of a stranger, and its packages: `npm run check:package`. */
const packed = ["test/package/consumer/**", "test/package/matrix/**"];
const onlyOverTls = ["test/tls/**/*.test.ts"];
/**
 * What depends on how a connection is made and lost. It runs over TLS, too: `npx vitest run --project tls`. What is left out
 * takes long and has its faults in the server (test/faults/synchronous, failover: its hosts are in test/tls/hosts).
 */
const alsoOverTls = [
  "test/support/proxy.test.ts",
  "test/connections/unbroken.test.ts",
  "test/faults/{hung,login-refused,lost-answers,network,pgbouncer,restart,terminated,unreachable}.test.ts",
  "test/presence/*.test.ts",
  "test/api/{close,fake-timers,given-client,idle,process-end}.test.ts",
  "test/migrate/server.test.ts",
];

// Not beside `projects`: vitest would start one more server, for no project.
const globalSetup = "test/support/global-setup.ts";
const setupFiles = "test/support/setup.ts";

const config: ViteUserConfig = defineConfig({
  resolve: { alias },
  test: {
    // A frozen event loop freezes no other file that runs now.
    pool: "forks",
    // But files share processes, one after the other: a process starts and loads the sources in half a second. What a file leaves behind
    // fails it (test/support/setup.ts, test/unit/setup.ts).
    isolate: false,
    // More than there are processors: tests mostly wait, for a time or for an answer.
    maxWorkers: 8,
    sequence: { sequencer: SpreadOut },
    // Against what hangs, and nothing else: on a busy machine a test of half a second has taken 16.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 60_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          setupFiles: "test/unit/setup.ts",
          include: unit,
        },
      },
      {
        extends: true,
        test: {
          name: "tcp",
          globalSetup,
          setupFiles,
          include: everything,
          exclude: [...unit, ...onlyOverTls, ...libraries, ...packed],
        },
      },
      {
        extends: true,
        test: {
          name: "tls",
          globalSetup,
          setupFiles,
          include: [...onlyOverTls, ...alsoOverTls],
          env: { LEASEHOLD_TEST_TRANSPORT: "tls" },
        },
      },
    ],
  },
});

export default config;
