// What a cluster is made of. Nothing is installed here: what is missing is named.
import { accessSync, constants, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";

export interface Programs {
  readonly patroni: string;
  readonly patronictl: string;
  readonly etcd: string;
  readonly haproxy: string;
  /** The folder of `postgres`, `initdb`, `pg_rewind` and the others. */
  readonly postgres: string;
}

const packages: Readonly<Record<keyof Programs, string>> = {
  patroni: "patroni",
  patronictl: "patroni",
  etcd: "etcd-server",
  haproxy: "haproxy",
  postgres: "postgresql",
};

/** @throws {Error} that names the packages which are missing */
export function findPrograms(): Programs {
  if (process.platform !== "linux") throw new Error("A cluster needs Linux: it finds its processes in /proc.");
  const found: { readonly [Name in keyof Programs]: string | undefined } = {
    patroni: inPath("patroni"),
    patronictl: inPath("patronictl"),
    etcd: inPath("etcd"),
    haproxy: inPath("haproxy"),
    postgres: newestPostgres(),
  };
  const missing = missingPackages(found);
  if (missing.length > 0) throw new Error(howToInstall(missing));
  return found as Programs;
}

export function missingPackages(found: Partial<Record<keyof Programs, string | undefined>>): readonly string[] {
  const names = Object.keys(packages) as (keyof Programs)[];
  return [...new Set(names.filter((name) => found[name] === undefined).map((name) => packages[name]))];
}

export function howToInstall(missing: readonly string[]): string {
  const some = missing.length === 1 ? "This package is" : "These packages are";
  return `${some} missing: ${missing.join(", ")}. On Debian, so that no service starts:
  sudo env RUNLEVEL=1 apt-get install -y --no-install-recommends ${missing.join(" ")}`;
}

function inPath(name: string): string | undefined {
  // Debian has haproxy in a folder that only root has in its path
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin"];
  return folders.map((folder) => join(folder, name)).find(isProgram);
}

/** Debian has the programs of each major version in a folder of its own. */
function newestPostgres(): string | undefined {
  const root = "/usr/lib/postgresql";
  try {
    const versions = readdirSync(root).sort((a, b) => Number(b) - Number(a));
    return versions.map((version) => join(root, version, "bin")).find((bin) => isProgram(join(bin, "pg_rewind")));
  } catch {
    return undefined;
  }
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
