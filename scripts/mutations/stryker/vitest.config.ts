// The unit lane for Stryker: each file with modules of its own, for a fault in what runs when a module is loaded must not stay for the next one.
import { defineConfig, type ViteUserConfig } from "vitest/config";

const config: ViteUserConfig = defineConfig({
  test: {
    include: ["test/unit/**/*.test.ts"],
    // of texts, and of programs that are not mutated
    exclude: [
      "test/unit/{bench,campaign,cluster,docs,matrix,model,mutations,soak}/**",
      "test/unit/{lint,manifest,model,cli/reference}.test.ts",
    ],
    setupFiles: "test/unit/setup.ts",
    testTimeout: 20_000,
  },
});

export default config;
