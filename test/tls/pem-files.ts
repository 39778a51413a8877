import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

/** Files for parameters such as `sslrootcert`, by name, made beside the tests of a file: they go with it. Returns their paths. */
export async function pemFiles<Name extends string>(
  contents: Readonly<Record<Name, string>>,
): Promise<Record<Name, string>> {
  const folder = await mkdtemp(join(tmpdir(), "leasehold-pem-"));
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const paths = {} as Record<Name, string>;
  for (const name of Object.keys(contents) as Name[]) {
    paths[name] = join(folder, `${name}.pem`);
    await writeFile(paths[name], contents[name], { mode: 0o600 });
  }
  return paths;
}
