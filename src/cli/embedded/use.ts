import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { createLocker } from "../../locker/create-locker.js";
import type { Link } from "../../postgres/connection/link.js";
import { elapsedMs, now, sleep } from "../../runtime/clock.js";
import { parseDuration } from "../duration.js";
import { findPackage, prepareBinaries } from "./binaries.js";
import { addressOf, connectTo, KEEPER, USE } from "./connection.js";
import { ensureFolder, ensureStateFolder, type Folder } from "./folder.js";
import { findRunning } from "./running.js";
import { serverUser } from "./server-user.js";

const START_MS = 60_000;
const POLL_MS = 30;
const LINGER = "60s";

export interface EmbeddedUse {
  readonly url: string;
  /** The same: what the environment says about the direct address of another database does not count. */
  readonly directUrl: string;
  /** Called when it is no longer used. The server may stop then, unless others use it. */
  close(): Promise<void>;
}

/**
 * The embedded Postgres of this user, with the schema in it. Started if it is not running. All processes of the user share it. It stops when
 * nobody has been connected for a while; the connection that is held here counts.
 */
export async function useEmbedded(): Promise<EmbeddedUse> {
  const user = serverUser();
  const entry = findPackage(); // before anything is made: without the package nothing is to be left behind
  const state = await ensureStateFolder();
  const binaries = await prepareBinaries(entry, user, state);
  const folder = await ensureFolder(state, binaries, user);
  const { url, link } = await join(folder, binaries.postgres);
  const locker = createLocker({ url });
  try {
    await locker.migrate();
  } finally {
    await locker.close();
  }
  return { url, directUrl: url, close: () => link.end() };
}

async function join(folder: Folder, postgres: string): Promise<{ url: string; link: Link }> {
  const since = now();
  let keeper: Keeper | null = null;
  while (elapsedMs(since) < START_MS) {
    const joined = await tryJoin(folder);
    if (joined !== null) {
      if (keeper === null && !(await hasKeeper(joined.link))) startKeeper(folder, postgres);
      return joined;
    }
    if (keeper?.hasFailed()) break;
    keeper ??= startKeeper(folder, postgres);
    await sleep(POLL_MS, { keepsAlive: true });
  }
  const log = await readFile(folder.log, "utf8").catch(() => "");
  throw new Error(
    `the embedded Postgres did not start; the end of its log, ${folder.log}:\n${log.split("\n").slice(-10).join("\n")}`,
  );
}

/** Null while it is not running, or is starting or stopping. */
async function tryJoin(folder: Folder): Promise<{ url: string; link: Link } | null> {
  const running = await findRunning(folder);
  if (running === null) return null;
  const url = await addressOf(folder, running);
  const link = await connectTo(url, USE).catch(() => null);
  return link === null ? null : { url, link };
}

/** Whether the keeper is there. If it was killed, nobody would stop the server. */
async function hasKeeper(link: Link): Promise<boolean> {
  return (
    (
      await link.query(
        "select from pg_catalog.pg_stat_activity a where a.application_name operator(pg_catalog.=) $1::pg_catalog.text",
        [KEEPER],
      )
    ).length > 0
  );
}

interface Keeper {
  hasFailed(): boolean;
}

function startKeeper(folder: Folder, postgres: string): Keeper {
  const lingerMs = parseDuration("LEASEHOLD_EMBEDDED_LINGER", process.env.LEASEHOLD_EMBEDDED_LINGER || LINGER);
  const program = fileURLToPath(new URL("./keeper.js", import.meta.url));
  const keeper = spawn(process.execPath, [program, folder.path, postgres, String(lingerMs)], {
    detached: true,
    cwd: "/",
    stdio: "ignore",
  });
  keeper.unref();
  let hasFailed = false;
  keeper.once("exit", (code) => {
    hasFailed = code !== 0;
  });
  keeper.once("error", () => {
    hasFailed = true;
  });
  return { hasFailed: () => hasFailed };
}
