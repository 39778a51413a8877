// Where Python with psycopg 3 is.
import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** Debian's packages are for its own Python alone, which need not be the first on the path. */
export async function findPython(): Promise<string | undefined> {
  for (const python of ["python3", "/usr/bin/python3"]) {
    const hasPsycopg = await promisify(execFile)(python, ["-c", "import psycopg"]).then(
      () => true,
      () => false,
    );
    if (hasPsycopg) return python;
  }
  return undefined;
}
