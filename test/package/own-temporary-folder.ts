import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guard } from "../support/guardian.js";

/**
 * Gives this process and all that it starts a folder of their own for temporary files, and takes it away at the end, with what others leave
 * in there, such as Jest its cache.
 */
export async function ownTemporaryFolder(): Promise<AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), "leasehold-check-"));
  const guardian = guard('rm -rf "$1"', folder);
  await chmod(folder, 0o1777); // as that of the system: Postgres runs as another user
  const linksBefore = await linksOfBun();
  const { TMPDIR } = process.env;
  process.env.TMPDIR = folder;
  return {
    async [Symbol.asyncDispose]() {
      if (TMPDIR === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = TMPDIR;
      const links = (await linksOfBun()).filter((link) => !linksBefore.includes(link));
      await Promise.all([folder, ...links].map((path) => rm(path, { recursive: true, force: true })));
      guardian.release();
    },
  };
}

/** Folders with a link to Bun by the name of node. They are in /tmp, whatever TMPDIR says, and Bun makes one anew where it is missing. */
async function linksOfBun(): Promise<readonly string[]> {
  const names = await readdir("/tmp").catch(() => []);
  return names.filter((name) => name.startsWith("bun-node-")).map((name) => join("/tmp", name));
}
