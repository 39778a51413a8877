import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { entries } from "../../scripts/build/entries.js";
import type { Check } from "./report.js";
import { run } from "./run.js";
import { root, type Workplace } from "./workplace.js";

/** What must be in it besides what the entries name. */
const needed = [
  "config.schema.json",
  "dist/cli.js",
  "dist/cli/keeper.js",
  "dist/cli/spawning-thread.js",
  "man/leasehold.1",
  "docs/guides/trust.md",
  "docs/decisions/README.md",
  "docs/speed.svg",
  "docs/operations/grafana.json",
  "docs/operations/alerts.yml",
  "migrations/0000_tables.sql",
  "migrations/0001_functions.sql",
  "bench/README.md",
  "examples/cron.ts",
  "examples/python/locked_counter.py",
  "examples/store/locks.ts",
  "ARCHITECTURE.md",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "LICENSE",
  "README.md",
  "SECURITY.md",
];
const allowed = [
  /^dist\/([\w-]+\/)?[\w-]+\.(c?js|d\.c?ts)$/,
  /^config\.schema\.json$/,
  /^man\/leasehold\.1$/,
  /^migrations\/\d{4}_\w+\.sql$/,
  /^docs\/([\w-]+\/)*[\w-]+\.(md|svg)$|^docs\/guides\/images\/[\w-]+\.png$|^docs\/operations\/[\w.-]+\.(json|yml)$/,
  /^bench\/README\.md$|^examples\/(python\/\w+\.py|(store\/)?[\w-]+\.ts|store\/README\.md)$/,
  /^(ARCHITECTURE|CHANGELOG|CONTRIBUTING|README|SECURITY)\.md$|^LICENSE$|^package\.json$/,
];

export function tarball({ tarball }: Workplace): readonly Check[] {
  return [
    {
      name: "the tarball holds what it should, and nothing else",
      run: async () => {
        const files = (await run("tar", ["tzf", tarball], root))
          .split("\n")
          .filter(Boolean)
          .map((file) => file.replace(/^package\//, ""));
        const ofEntries = entries.flatMap((name) => ["js", "cjs", "d.ts", "d.cts"].map((end) => `dist/${name}.${end}`));
        const missing = [...needed, ...ofEntries].filter((file) => !files.includes(file));
        const stray = files.filter((file) => !allowed.some((pattern) => pattern.test(file)));
        if (missing.length > 0) throw new Error(`missing: ${missing.join(", ")}`);
        if (stray.length > 0) throw new Error(`not for users: ${stray.join(", ")}`);
      },
    },
    {
      name: "publint has nothing to say",
      run: async () => {
        const { buffer, byteOffset, byteLength } = await readFile(tarball);
        const pack = { tarball: buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer };
        const { messages, pkg } = await publint({ pack, strict: true });
        if (messages.length > 0) throw new Error(messages.map((message) => formatMessage(message, pkg)).join("\n"));
      },
    },
    {
      name: "are the types wrong? has nothing to say, in its strictest profile",
      run: async () => {
        const attw = join(root, "node_modules", ".bin", "attw");
        await run(attw, [tarball, "--profile", "strict", "--no-color", "--no-emoji"], root);
      },
    },
  ];
}
