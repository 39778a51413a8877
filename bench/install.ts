// The peers are dependencies of bench/ alone. They are installed when a bench first needs them.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = new URL("./", import.meta.url);

/** Null when all is there; else why something is missing. A bench without it still runs. */
export function installPeers(): string | null {
  const missing = missingPackages();
  if (missing.length === 0) return null;
  console.log(`installing what Leasehold is measured beside into bench/node_modules: ${missing.join(", ")}`);
  const { status, stderr, error } = spawnSync(
    "npm",
    ["install", "--no-save", "--loglevel=error", "--fetch-retries=0"],
    {
      cwd: fileURLToPath(folder),
      env: environmentForNpm(),
      encoding: "utf8",
      timeout: 180_000,
      shell: process.platform === "win32",
    },
  );
  const still = missingPackages();
  if (still.length === 0) return null;
  const [line] = /npm error.*/.exec(stderr ?? "") ?? [];
  return `npm could not install ${still.join(", ")} (${error?.message ?? line ?? `status ${status}`}; offline?)`;
}

export function missingPackages(): string[] {
  const { dependencies } = readPackage(new URL("package.json", folder)) as { dependencies: Record<string, string> };
  return Object.entries(dependencies)
    .filter(([name, version]) => {
      const file = new URL(`node_modules/${name}/package.json`, folder);
      // redlock calls itself "v5.0.0-beta.2"
      return !existsSync(file) || readPackage(file).version?.replace(/^v/, "") !== version;
    })
    .map(([name]) => name);
}

function readPackage(file: URL): { readonly version?: string } {
  return JSON.parse(readFileSync(file, "utf8"));
}

/** `npm run` tells its children about the package that it runs in: npm in another folder must not hear that. */
function environmentForNpm(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^npm_(package|lifecycle|command|config_local_prefix)/.test(name),
  );
  return Object.fromEntries(kept);
}
