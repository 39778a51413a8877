import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guard } from "../support/guardian.js";

/**
 * Gives this process and all that it starts a folder of their own for temporary files, and takes it away at the end, with what Jest (its
 * cache) and Bun (a link to itself under the name of node) leave in there.
 */
export async function ownTemporaryFolder(): Promise<AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), "leasehold-check-"));
  const guardian = guard('rm -rf "$1"', folder);
  await chmod(folder, 0o1777); // as that of the system: Postgres runs as another user
  const { TMPDIR } = process.env;
  process.env.TMPDIR = folder;
  return {
    async [Symbol.asyncDispose]() {
      if (TMPDIR === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = TMPDIR;
      await rm(folder, { recursive: true, force: true });
      guardian.release();
    },
  };
}
