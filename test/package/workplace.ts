import { cp, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Certificate, makeAuthority, makeCertificate } from "../support/certificate.js";
import { changeUrl } from "../support/client.js";
import { type Cluster, startCluster } from "../support/cluster.js";
import { createFrom } from "../support/create-database.js";
import { type Guardian, guard } from "../support/guardian.js";
import { run } from "./run.js";

export const root: string = fileURLToPath(new URL("../../", import.meta.url));
/** The tools that the package is tried with: see its package.json. */
export const matrix: string = fileURLToPath(new URL("matrix/", import.meta.url));

/**
 * A folder with the project of a stranger, `consumer`, which has the package from its tarball and nothing else of this one. What is in
 * `matrix/node_modules` it finds, too, for its own parent folder seems to have that installed.
 */
export class Workplace implements AsyncDisposable {
  readonly folder: string;
  readonly consumer: string;
  readonly tarball: string;
  readonly #guardian: Guardian;
  #server: Promise<Server> | undefined;
  #databases = 0;

  private constructor(folder: string, tarball: string, guardian: Guardian) {
    this.folder = folder;
    this.consumer = join(folder, "consumer");
    this.tarball = tarball;
    this.#guardian = guardian;
  }

  /** Packs what is built. */
  static async open(): Promise<Workplace> {
    const folder = await mkdtemp(join(tmpdir(), "leasehold-package-"));
    const guardian = guard('rm -rf "$1"', folder);
    await run("npm", ["pack", "--pack-destination", folder], root);
    const [tarball = ""] = (await readdir(folder)).filter((name) => name.endsWith(".tgz"));
    const workplace = new Workplace(folder, join(folder, tarball), guardian);
    await symlink(join(matrix, "node_modules"), join(folder, "node_modules"));
    await cp(fileURLToPath(new URL("consumer", import.meta.url)), workplace.consumer, { recursive: true });
    return workplace;
  }

  /** Runs a file of the consumer with Node, on an empty database; it must write "used" and end by itself. */
  async use(file: string, cwd: string = this.consumer): Promise<void> {
    await this.useWith([process.execPath, file], await this.database(), cwd);
  }

  /** The same with any program. */
  async useWith([program = "", ...args]: readonly string[], url: string, cwd: string = this.consumer): Promise<void> {
    const output = await run(program, args, cwd, { DATABASE_URL: url });
    if (output.trim() !== "used") throw new Error(`wrote ${JSON.stringify(output)}`);
  }

  /** The address of a new, empty database, reached without TLS. */
  async database(): Promise<string> {
    const { cluster } = await this.#started();
    this.#databases += 1;
    const database = `package_${this.#databases}`;
    await createFrom(cluster.url, database, "template0");
    return changeUrl(cluster.url, { database }).replace(/\?.*/, "");
  }

  /** The address of a new, empty database whose certificate is verified by that of the file. */
  async verifiedDatabase(authority: "ours" | "another"): Promise<string> {
    const { authorities } = await this.#started();
    const file = join(this.folder, `${authority}.pem`);
    await writeFile(file, authorities[authority].cert);
    return `${await this.database()}?sslmode=verify-full&sslrootcert=${encodeURIComponent(file)}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#server)?.cluster.destroy();
    await rm(this.folder, { recursive: true, force: true });
    this.#guardian.release();
  }

  #started(): Promise<Server> {
    this.#server ??= startServer();
    return this.#server;
  }
}

interface Server {
  readonly cluster: Cluster;
  readonly authorities: { readonly ours: Certificate; readonly another: Certificate };
}

async function startServer(): Promise<Server> {
  const [ours, another] = await Promise.all([makeAuthority(), makeAuthority()]);
  const certificate = await makeCertificate(ours, ["localhost", "127.0.0.1"]);
  const cluster = await startCluster({ tls: { certificate, acceptsPlain: true } });
  return { cluster, authorities: { ours, another } };
}

/** The project's own package.json. */
export async function manifest(): Promise<Readonly<Record<string, unknown>>> {
  return JSON.parse(await readFile(join(root, "package.json"), "utf8"));
}
