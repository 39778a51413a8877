import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** What a program writes to its standard output. If it fails, the error's message has all that it wrote. */
export async function run(
  program: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  try {
    const options = {
      cwd,
      env: { ...ownEnvironment(), DENO_NO_UPDATE_CHECK: "1", ...env },
      maxBuffer: 1e8,
      timeout: 180_000,
    };
    return (await execute(program, args, options)).stdout;
  } catch (error) {
    const { stdout, stderr, message } = error as { stdout?: string; stderr?: string; message: string };
    throw new Error([message, stdout, stderr].filter(Boolean).join("\n"));
  }
}

/** Without what `npm run` tells its children about the package that it runs in, and without any address of a database. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const isForeign = /^(npm_(package|lifecycle|command|config_local_prefix)|PG[A-Z]+$|DATABASE_URL$|NODE_OPTIONS$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isForeign.test(name)));
}
