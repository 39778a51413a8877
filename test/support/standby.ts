// What pg_basebackup does, which the embedded package does not have.
import { execFile } from "node:child_process";
import { appendFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type postgres from "postgres";
import { giveToServer, serverUser } from "./server-binaries.js";

const run = promisify(execFile);

/** Copies a running primary's data folder into one that a server can be started on as its standby. */
export async function makeStandby(primary: postgres.Sql, from: string, to: string, primaryUrl: string): Promise<void> {
  // start and stop belong to one session: `primary` has one connection
  const [server] = await primary`select current_setting('server_version_num')::int < 150000 as isold`;
  await primary.unsafe(
    server?.isold ? "select pg_start_backup('standby', true, false)" : "select pg_backup_start('standby', true)",
  );
  // what vanishes while it is copied is not needed: the WAL from the start on makes the copy whole
  await run("cp", ["-Rp", from, to], { ...serverUser(), cwd: "/" }).catch((error) => {
    if (!/No such file/.test(String(error.stderr))) throw error;
  });
  const [label] = await primary.unsafe(
    `select labelfile as text from ${server?.isold ? "pg_stop_backup(false, false)" : "pg_backup_stop(false)"}`,
  );
  for (const file of ["postmaster.pid", "postmaster.opts"]) await rm(join(to, file), { force: true });
  for (const folder of ["pg_replslot", "pg_wal"]) {
    for (const entry of await readdir(join(to, folder), { withFileTypes: true })) {
      if (entry.isFile() || folder === "pg_replslot") await rm(join(to, folder, entry.name), { recursive: true });
    }
  }
  const { hostname, port, username, password } = new URL(primaryUrl);
  const address = `host=${hostname} port=${port} user=${username} password=${password} application_name=standby`;
  await writeOwned(join(to, "backup_label"), String(label?.text));
  await writeOwned(join(to, "standby.signal"), "");
  await appendFile(
    join(to, "postgresql.auto.conf"),
    `primary_conninfo = '${address}'\nwal_retrieve_retry_interval = 100\n`,
  );
}

async function writeOwned(file: string, text: string): Promise<void> {
  await writeFile(file, text, { mode: 0o600 });
  await giveToServer(file);
}
