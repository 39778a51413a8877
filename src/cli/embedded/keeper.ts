// A process of its own: starts the embedded server if it does not run, and stops it when nobody has used it for a while. It outlives
// whoever started it, and needs nothing from them: who uses the server is who is connected to it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { elapsedMs, now, sleep } from "../../clock.js";
import type { Link } from "../../postgres/link.js";
import { addressOf, connectTo, KEEPER } from "./connection.js";
import type { Folder } from "./folder.js";
import { findRunning, type Running } from "./running.js";
import { serverEnvironment, serverUser } from "./server-user.js";

const LOOK_MS = 1_000;
const START_MS = 60_000;

const [path = "", postgres = "", lingerMs = "60000"] = process.argv.slice(2);
const folder: Folder = { path, data: join(path, "data"), log: join(path, "log") };
await keep();

async function keep(): Promise<void> {
  const running = (await findRunning(folder)) ?? (await start());
  if (running === null) process.exit(1);
  const link = await connectTo(await addressOf(folder, running), KEEPER);
  let used = now();
  while (elapsedMs(used) < Number(lingerMs)) {
    await sleep(LOOK_MS, { keepsAlive: true });
    if (await isUsed(link)) used = now();
    if (link.isDead) process.exit(0); // somebody else has stopped it
  }
  process.kill(running.pid, "SIGINT"); // a fast shutdown
  process.exit(0);
}

async function isUsed(link: Link): Promise<boolean> {
  const others =
    "select from pg_stat_activity where backend_type = 'client backend' and application_name <> $1 limit 1";
  const rows = await link.query(others, [KEEPER]).catch(() => []);
  return rows.length > 0;
}

/** Null when it cannot be started; the log says why. Another keeper may have been faster: then theirs runs. */
async function start(): Promise<Running | null> {
  const log = openSync(folder.log, "a", 0o600);
  const settings = { port: await freePort(), listen_addresses: "127.0.0.1", unix_socket_directories: "" };
  const server = spawn(
    postgres,
    ["-D", folder.data, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])],
    { ...serverUser(), env: serverEnvironment(), cwd: folder.path, stdio: ["ignore", log, log], detached: true },
  );
  server.unref();
  const ended = once(server, "exit").catch(() => undefined);
  let hasEnded = false;
  void ended.then(() => {
    hasEnded = true;
  });
  const since = now();
  while (elapsedMs(since) < START_MS) {
    const running = await findRunning(folder);
    if (running !== null) return running;
    if (hasEnded) break;
    await sleep(20, { keepsAlive: true });
  }
  return await findRunning(folder);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}
