// Wall clocks that can be set, by libfaketime: it reads how far off a clock is from a file, at each look.
import { execFile } from "node:child_process";
import { chmod, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { guard } from "../support/guardian.js";
import { fakeTimeLibrary } from "./scenes.js";

const run = promisify(execFile);

// libfaketime leaves a semaphore and shared memory of each process that is killed.
const cleanUp = `
for file in /dev/shm/faketime_shm_* /dev/shm/sem.faketime_sem_*; do
  [ "$file" -nt "$1/made" ] && ! kill -0 "\${file##*_}" 2>/dev/null && rm -f "$file"
done
rm -rf "$1"`;

export class FakeClocks {
  readonly #folder: string;
  readonly #files = new Map<string, string>();

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async make(): Promise<FakeClocks> {
    const folder = await mkdtemp(join(tmpdir(), "leasehold-clocks-"));
    await chmod(folder, 0o755); // the server's user reads it
    await writeFile(join(folder, "made"), "");
    const clocks = new FakeClocks(folder);
    clocks.#guardian = guard(cleanUp, folder);
    return clocks;
  }

  #guardian: { release(): void } | undefined;

  /** What a process needs to have a clock of its own. Monotonic clocks go on as they are. */
  async environment(of: string): Promise<Readonly<Record<string, string>>> {
    const file = join(this.#folder, of);
    this.#files.set(of, file);
    await writeFile(file, "+0");
    return {
      LD_PRELOAD: fakeTimeLibrary,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      DONT_FAKE_MONOTONIC: "1",
    };
  }

  /** Off by so many seconds. */
  async set(of: string, seconds: number): Promise<void> {
    const file = this.#files.get(of);
    if (file !== undefined) await writeFile(file, `${seconds < 0 ? "" : "+"}${seconds}`);
  }

  async setAll(seconds: number): Promise<void> {
    for (const of of this.#files.keys()) await this.set(of, seconds);
  }

  /** When the processes that had them have ended. */
  async remove(): Promise<void> {
    await run("sh", ["-c", cleanUp, "remove", this.#folder]);
    this.#guardian?.release();
  }
}
