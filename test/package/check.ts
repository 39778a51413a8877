// The package as a stranger gets it: packed, judged by publint and attw, installed from its tarball, and used.
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { changeUrl } from "../support/client.js";
import { type Cluster, startCluster } from "../support/cluster.js";
import { createFrom } from "../support/create-database.js";
import { guard } from "../support/guardian.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const bin = (name: string) => join(root, "node_modules", ".bin", name);
const execute = promisify(execFile);

/** What a program writes; if it fails, that is the error's text. */
async function run(
  program: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
): Promise<string> {
  try {
    return (await execute(program, args, { cwd, env: { ...process.env, ...env }, maxBuffer: 1e8, timeout: 180_000 }))
      .stdout;
  } catch (error) {
    const { stdout, stderr, message } = error as { stdout?: string; stderr?: string; message: string };
    throw new Error([message, stdout, stderr].filter(Boolean).join("\n"));
  }
}

// What every consumer below does, whichever way it got the package.
const use = `
async function main(createLocker) {
  const locker = createLocker({ url: process.env.DATABASE_URL });
  try {
    await locker.migrate();
    const fence = await locker.withLock("package", async (lock) => lock.fence);
    if (typeof fence !== "bigint") throw new Error("no fence");
  } finally {
    await locker.close();
  }
  console.log("used");
}
`;

const typed = `
import { createLocker, LeaseLostError, type Lock, type LockerOptions } from "leasehold";
import postgres from "postgres";
const options: LockerOptions = { url: "postgres://localhost/app", ttlMs: 30_000 };
const locker = createLocker(options);
export const value: Promise<number> = locker.withLock("key", async (lock: Lock) => Number(lock.fence), { waitMs: 5_000 });
export const settled: Promise<number> = locker.withLock("key", (lock) =>
  lock.transaction(postgres(), async (tx) => {
    await tx\`select 1\`;
    return 1;
  }),
);
export const isLost = (error: unknown): boolean => error instanceof LeaseLostError && error.reason === "expired";
`;

const typedDrizzle = `
import { type SQL, sql } from "drizzle-orm";
import { bigint, integer, pgTable } from "drizzle-orm/pg-core";
import { type ActiveLease, activeLeases, fencedBy, fenceTable, guardTable, unfenceTable, unguardTable } from "leasehold/drizzle";
import { drizzle } from "drizzle-orm/postgres-js";
const accounts = pgTable("accounts", { id: integer().primaryKey(), fence: bigint({ mode: "bigint" }).notNull() });
export const statements: SQL[] = [
  fenceTable(accounts, accounts.fence),
  unfenceTable(accounts, accounts.fence),
  guardTable(accounts, sql\`'account:' || \${accounts.id}\`),
  unguardTable(accounts),
  fencedBy(accounts.fence, 5n),
];
export const leases: PromiseLike<ActiveLease[]> = drizzle.mock().select().from(activeLeases);
`;

const typedOtel = `
import { trace } from "@opentelemetry/api";
import { instrumentLeasehold, type TelemetryOptions } from "leasehold/otel";
const options: TelemetryOptions = { keyNames: /^report:/, tracerProvider: trace.getTracerProvider() };
export const stop: () => void = instrumentLeasehold(options);
`;

const folder = await mkdtemp(join(tmpdir(), "leasehold-package-"));
const guardian = guard('rm -rf "$1"', folder);
const consumer = join(folder, "consumer");
let tarball = "";
let cluster: Cluster | undefined;
let passed = 0;
let failed = 0;

async function check(name: string, body: () => Promise<void>): Promise<void> {
  const start = performance.now();
  const error = await body().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error === undefined) passed++;
  else failed++;
  console.log(`${error === undefined ? "ok  " : "FAIL"} ${name} (${Math.round(performance.now() - start)} ms)`);
  if (error !== undefined) console.log(error instanceof Error ? error.message : error);
}

/** Runs a consumer on a new, empty database. */
async function runConsumer(file: string, cwd: string): Promise<void> {
  cluster ??= await startCluster();
  const database = `package_${passed + failed}`;
  await createFrom(cluster.url, database, "template0");
  const output = await run(process.execPath, [file], cwd, { DATABASE_URL: changeUrl(cluster.url, { database }) });
  if (output.trim() !== "used") throw new Error(`wrote ${JSON.stringify(output)}`);
}

try {
  await check("the tarball holds what it should, and nothing else", async () => {
    const [packed] = JSON.parse(await run("npm", ["pack", "--json", "--pack-destination", folder], root));
    tarball = join(folder, packed.filename);
    const files: string[] = packed.files.map(({ path }: { path: string }) => path);
    for (const file of [
      "dist/cli.js",
      "dist/index.js",
      "dist/index.d.ts",
      "dist/drizzle.js",
      "dist/drizzle.d.ts",
      "dist/otel.js",
      "dist/otel.d.ts",
      "man/leasehold.1",
      "migrations/0000_tables.sql",
      "migrations/0001_functions.sql",
      "LICENSE",
      "README.md",
      "CHANGELOG.md",
    ]) {
      if (!files.includes(file)) throw new Error(`${file} is missing`);
    }
    const stray = files.filter(
      (file) => !/^(dist|man|migrations)\/|^(LICENSE|README\.md|CHANGELOG\.md|package\.json)$/.test(file),
    );
    if (stray.length > 0) throw new Error(`not for users: ${stray.join(", ")}`);
  });

  await check("publint", async () => {
    const pack = {
      tarball: await readFile(tarball).then(
        ({ buffer, byteOffset, byteLength }) => buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer,
      ),
    };
    const { messages, pkg } = await publint({ pack, strict: true });
    if (messages.length > 0) throw new Error(messages.map((message) => formatMessage(message, pkg)).join("\n"));
  });

  await check("are the types wrong?", async () => {
    // ESM only: `require` of it works from Node 20.19 on, which the profile takes for an error in CommonJS
    await run(bin("attw"), [tarball, "--profile", "esm-only", "--no-color", "--no-emoji"], root);
  });

  await check("it installs, without install scripts of its own", async () => {
    await mkdir(consumer);
    await writeFile(join(consumer, "package.json"), JSON.stringify({ name: "consumer", private: true }));
    await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", tarball], consumer);
  });

  for (const module of ["nodenext", "bundler"]) {
    const resolution = module === "bundler" ? ["esnext", "--moduleResolution", "bundler"] : ["nodenext"];
    const strict = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "es2022", "--module"];
    const types = ["--types", "node", "--typeRoots", join(root, "node_modules", "@types")];
    const compile = (file: string, ...more: string[]) =>
      run(bin("tsc"), [...strict, ...resolution, ...types, ...more, file], consumer);

    await check(`its types compile, strictly (${module})`, async () => {
      await writeFile(join(consumer, "typed.mts"), typed);
      await compile("typed.mts");
    });

    await check(`those of the entry for Drizzle, too (${module})`, async () => {
      await writeFile(join(consumer, "typed-drizzle.mts"), typedDrizzle);
      // Drizzle's own do not without this: they name drivers that are not installed
      await compile("typed-drizzle.mts", "--skipLibCheck");
    });
  }

  await check("import", async () => {
    await writeFile(
      join(consumer, "import.mjs"),
      `import { createLocker } from "leasehold";\n${use}\nawait main(createLocker);\n`,
    );
    await runConsumer("import.mjs", consumer);
  });

  await check("require", async () => {
    await writeFile(
      join(consumer, "require.cjs"),
      `const { createLocker } = require("leasehold");\n${use}\nvoid main(createLocker);\n`,
    );
    await runConsumer("require.cjs", consumer);
  });

  await check("the main entry loads neither drizzle-orm nor what the command line needs", async () => {
    const modules = ["drizzle-orm", "string-width"].map((name) => join(consumer, "node_modules", name));
    for (const module of modules) await rename(module, `${module}-hidden`);
    try {
      await run(process.execPath, ["--input-type=module", "-e", 'await import("leasehold")'], consumer);
    } finally {
      for (const module of modules) await rename(`${module}-hidden`, module);
    }
  });

  await check("the entry for OpenTelemetry says what it needs, and has its function when that is there", async () => {
    const api = join("node_modules", "@opentelemetry", "api");
    const list = 'console.log(Object.keys(await import("leasehold/otel")).join())';
    const load = () => run(process.execPath, ["--input-type=module", "-e", list], consumer);
    // optional: nothing above has needed it
    const refusal = await load().catch((error: Error) => error.message);
    if (!refusal.includes("Cannot find package '@opentelemetry/api'")) throw new Error(refusal);
    await cp(join(root, api), join(consumer, api), { recursive: true });
    const names = await load();
    if (names.trim() !== "instrumentLeasehold") throw new Error(names);
    await writeFile(join(consumer, "typed-otel.mts"), typedOtel);
    const types = ["--types", "node", "--typeRoots", join(root, "node_modules", "@types")];
    const strict = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "es2022"];
    await run(bin("tsc"), [...strict, "--module", "nodenext", ...types, "typed-otel.mts"], consumer);
  });

  await check("the entry for Drizzle has its functions", async () => {
    const list = 'console.log(Object.keys(await import("leasehold/drizzle")).sort().join())';
    const names = await run(process.execPath, ["--input-type=module", "-e", list], consumer);
    if (
      names.trim() !==
      "activeLeases,deadlocks,expiredLeases,fenceTable,fencedBy,guardTable,hotKeys,liveSessions,stats,statsByPrefix,unfenceTable,unguardTable,waiting"
    )
      throw new Error(names);
  });

  await check("its command line", async () => {
    const npx = (args: readonly string[], env = {}) =>
      run("npx", ["--no-install", "leasehold", ...args], consumer, env);
    const help = await npx(["--help"]);
    if (!help.includes("Usage: leasehold <command>")) throw new Error(help);
    cluster ??= await startCluster();
    await createFrom(cluster.url, "command_line", "template0");
    const env = { DATABASE_URL: changeUrl(cluster.url, { database: "command_line" }) };
    await npx(["migrate"], env);
    const print = "process.stdout.write(process.env.LEASEHOLD_KEY + process.env.LEASEHOLD_FENCE)";
    const output = await npx(["run", "package", "--", process.execPath, "-e", print], env);
    if (!/^package[1-9]\d*$/.test(output)) throw new Error(`wrote ${JSON.stringify(output)}`);
  });

  for (const format of ["esm", "cjs"] as const) {
    await check(`bundled into one ${format} file, with migrate()`, async () => {
      const name = format === "esm" ? "bundle.mjs" : "bundle.cjs";
      const lonely = join(folder, `bundled-${format}`); // no node_modules, no migrations folder beside it
      await mkdir(lonely);
      await writeFile(
        join(consumer, "bundled.mjs"),
        `import { createLocker } from "leasehold";\n${use}\nvoid main(createLocker);\n`,
      );
      const banner = {
        js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
      };
      await build({
        absWorkingDir: consumer,
        entryPoints: ["bundled.mjs"],
        outfile: join(lonely, name),
        bundle: true,
        platform: "node",
        target: "node20",
        format,
        logLevel: "silent",
        ...(format === "esm" ? { banner } : {}),
      });
      await runConsumer(name, lonely);
    });
  }
} finally {
  await cluster?.destroy();
  await rm(folder, { recursive: true, force: true });
  guardian.release();
}

console.log(`package: ${passed} passed, ${failed} failed`);
// for .ci/run, which adds up
if (process.env.CHECK_COUNTS) await writeFile(process.env.CHECK_COUNTS, `${passed} ${failed}\n`);
process.exitCode = failed === 0 ? 0 : 1;
