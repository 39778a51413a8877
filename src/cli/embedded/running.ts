import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Folder } from "./folder.js";

/** A server that is running in a data folder. */
export interface Running {
  readonly pid: number;
  readonly port: number;
}

/**
 * The server that is running in this folder, according to Postgres's own lock file. A lock file that a crash has left is recognised because
 * its process is gone, or its server does not accept our password.
 */
export async function findRunning(folder: Folder): Promise<Running | null> {
  const { pid, port, isReady } = await readLockFile(folder);
  return isReady && pid > 0 && port > 0 && isAlive(pid) ? { pid, port } : null;
}

/** Whether a server seems to be starting or stopping. Until that is done, another one cannot start. */
export async function isMoving(folder: Folder): Promise<boolean> {
  const { pid, isReady } = await readLockFile(folder);
  return !isReady && pid > 0 && isAlive(pid);
}

async function readLockFile({ data }: Folder): Promise<Running & { readonly isReady: boolean }> {
  const text = await readFile(join(data, "postmaster.pid"), "utf8").catch(() => "");
  // pid, folder, start, port, socket's folder, address, shared memory, status
  const lines = text.split("\n");
  return { pid: Number(lines[0]), port: Number(lines[3]), isReady: lines[7]?.trim() === "ready" };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
