// A process of its own. It starts the embedded server if that is not running, and stops it when nobody has used it for a while. It
// outlives the process that started it, and needs nothing from it: whoever is connected to the server uses it.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { createServer } from "node:net";
import { join as joinPath } from "node:path";
import type { Link } from "../../postgres/connection/link.js";
import { elapsedMs, now, sleep } from "../../runtime/clock.js";
import { addressOf, connectTo, KEEPER } from "./connection.js";
import type { Folder } from "./folder.js";
import { findRunning, isMoving, type Running } from "./running.js";
import { serverEnvironment, serverUser } from "./server-user.js";

const LOOK_MS = 1_000;
const START_MS = 60_000;
const POLL_MS = 20;
/**
 * Postgres refuses to start until the previous server has released its shared memory, which takes longer on a busy machine. So the start
 * is repeated, with growing pauses: 6.3 s in total.
 */
const STARTS = 7;
const FIRST_PAUSE_MS = 100;
/** A server that is starting or stopping is left alone for this long. After that, Postgres itself finds out whether there is one. */
const MOVING_MS = 1_000;

const [path = "", postgres = "", lingerMs = "60000"] = process.argv.slice(2);
const folder: Folder = { path, data: joinPath(path, "data"), log: joinPath(path, "log") };
await keep();

async function keep(): Promise<void> {
  const joined = await reach();
  if (joined === null) process.exit(1);
  const { running, link } = joined;
  let used = now();
  while (elapsedMs(used) < Number(lingerMs)) {
    await sleep(LOOK_MS, { keepsAlive: true });
    if (await isUsed(link)) used = now();
    if (link.isDead) process.exit(0); // somebody else has stopped it
  }
  process.kill(running.pid, "SIGINT"); // a fast shutdown
  process.exit(0);
}

interface Joined {
  readonly running: Running;
  readonly link: Link;
}

/** The running server. Starts it if there is none. Null when it cannot be started; the log says why. */
async function reach(): Promise<Joined | null> {
  const since = now();
  let server: ChildProcess | null = null;
  let starts = 0;
  let pauseMs = 0;
  let paused = now();
  while (elapsedMs(since) < START_MS) {
    const joined = await join();
    if (joined !== null) return joined;
    // Another keeper may have been faster, but its server is not ready yet; or the previous server has not stopped yet.
    const isOurs = server !== null && server.exitCode === null && server.signalCode === null;
    const isOthers = !isOurs && (await isMoving(folder));
    if (!isOurs && elapsedMs(paused) >= (isOthers ? MOVING_MS : pauseMs)) {
      // A crash may have left this lock file, with a process id that belongs to another process now. If there is a server after all,
      // the start is refused, which does no harm.
      if (!isOthers && ++starts > STARTS) return null;
      server = await start();
      pauseMs = FIRST_PAUSE_MS * 2 ** (starts - 1);
      paused = now();
    }
    await sleep(POLL_MS, { keepsAlive: true });
  }
  return null;
}

/** Also null when a crash has left a process id that belongs to another process now. */
async function join(): Promise<Joined | null> {
  const running = await findRunning(folder);
  if (running === null) return null;
  const link = await connectTo(await addressOf(folder, running), KEEPER).catch(() => null);
  return link === null ? null : { running, link };
}

async function isUsed(link: Link): Promise<boolean> {
  const others =
    "select from pg_stat_activity where backend_type = 'client backend' and application_name <> $1 limit 1";
  const rows = await link.query(others, [KEEPER]).catch(() => []);
  return rows.length > 0;
}

async function start(): Promise<ChildProcess> {
  const log = openSync(folder.log, "a", 0o600);
  const settings = {
    port: await freePort(),
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    // in its folder: a server that is killed leaves nothing elsewhere. Windows has memory of its own kind, which goes by itself.
    ...(process.platform === "win32" ? {} : { dynamic_shared_memory_type: "mmap" }),
  };
  const server = spawn(
    postgres,
    ["-D", folder.data, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])],
    { ...serverUser(), env: serverEnvironment(), cwd: folder.path, stdio: ["ignore", log, log], detached: true },
  );
  closeSync(log);
  server.unref();
  await Promise.race([once(server, "spawn"), once(server, "error")]);
  return server;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}
