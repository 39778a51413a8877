// Prisma for real, and against its published types. Not part of `npm test`, for it takes 300 MB: npm run check:prisma
import { execFile } from "node:child_process";
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startCluster } from "../support/cluster.js";
import { guard } from "../support/guardian.js";
import { startProxy } from "../support/proxy.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const versions = process.argv[2] ?? "7";
const packages = ["prisma", "@prisma/client", "@prisma/adapter-pg"].map((name) => `${name}@${versions}`);
const execute = promisify(execFile);

const schema = `
generator client {
  provider = "prisma-client"
  output   = "./generated"
}
datasource db {
  provider = "postgresql"
}
model Account {
  id      Int    @id
  balance BigInt
  fence   BigInt @default(0)
}
`;
const config = `
import { defineConfig } from "prisma/config";
export default defineConfig({ schema: "schema.prisma", datasource: { url: "postgresql://localhost/unused" } });
`;

const folder = await mkdtemp(join(tmpdir(), "leasehold-prisma-"));
const guardian = guard('rm -rf "$1"', folder);

async function run(what: string, args: readonly string[], env: Record<string, string> = {}): Promise<void> {
  console.log(`--- ${what}`);
  const [program = "", ...rest] = args;
  const running = execute(program, rest, {
    cwd: folder,
    env: { ...process.env, ...env },
    maxBuffer: 1e8,
    timeout: 300_000,
  });
  const { stdout } = await running.catch((error: { message: string; stdout?: string; stderr?: string }) => {
    throw new Error([error.message, error.stdout, error.stderr].filter(Boolean).join("\n"));
  });
  console.log(stdout.trim());
}

try {
  const compilerOptions = {
    paths: { leasehold: [join(root, "src/index.ts")] },
    typeRoots: [join(root, "node_modules/@types")],
  };
  const settings = { extends: join(root, "tsconfig.json"), compilerOptions, include: ["consumer.ts"] };
  await Promise.all([
    writeFile(join(folder, "package.json"), '{ "type": "module", "private": true }'),
    writeFile(join(folder, "schema.prisma"), schema),
    writeFile(join(folder, "prisma.config.ts"), config),
    writeFile(join(folder, "tsconfig.json"), JSON.stringify(settings)),
    // not compiled with the rest: what it imports is only made here
    copyFile(fileURLToPath(new URL("consumer.ts.txt", import.meta.url)), join(folder, "consumer.ts")),
  ]);
  await run("install, without scripts", ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", ...packages]);
  // The client is made without an engine, but not before one is there to be had: any program will do.
  const engine = { PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, CHECKPOINT_DISABLE: "1" };
  await run("generate", [process.execPath, "node_modules/prisma/build/index.js", "generate"], engine);
  await run("types", [process.execPath, join(root, "node_modules/typescript/bin/tsc"), "-p", folder]);
  await using cluster = await startCluster();
  await using proxy = await startProxy(cluster.url);
  await run("run", [process.execPath, "--import", import.meta.resolve("tsx"), "consumer.ts"], {
    DATABASE_URL: cluster.url,
    PROXY_URL: proxy.url(cluster.url),
    TSX_TSCONFIG_PATH: join(folder, "tsconfig.json"),
  });
  const guards = proxy.statements.filter(({ sql }) => /leasehold_internal\.(guard|require_guard)/.test(sql));
  console.log(`${guards.length} statements of guards`);
} finally {
  await rm(folder, { recursive: true, force: true });
  guardian.release();
}
