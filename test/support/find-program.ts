import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";

/** The path of a program, or undefined. Debian has servers in folders that only root has in its path. */
export async function findProgram(name: string): Promise<string | undefined> {
  const folders = (process.env.PATH ?? "").split(delimiter);
  for (const folder of [...folders, ...folders.map((folder) => folder.replace(/bin$/, "sbin"))]) {
    const file = join(folder, name);
    const isThere = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return file;
  }
  return undefined;
}
