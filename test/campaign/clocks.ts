// Wall clocks that can be set, by libfaketime: it reads how far off a clock is from a file, at each look.
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guard } from "../support/guardian.js";
import { fakeTimeLibrary } from "./scenes.js";

export class FakeClocks {
  readonly #folder: string;
  readonly #files = new Map<string, string>();

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async make(): Promise<FakeClocks> {
    const folder = await mkdtemp(join(tmpdir(), "leasehold-clocks-"));
    await chmod(folder, 0o755); // the server's user reads it
    const clocks = new FakeClocks(folder);
    clocks.#guardian = guard('rm -rf "$1"', folder);
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

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
    this.#guardian?.release();
  }
}
