// What the nemesis writes down, in the same form as the processes that it torments.
import { closeSync, openSync, writeSync } from "node:fs";
import type { NemesisEntry } from "./log.js";

type Note<T> = T extends unknown ? Omit<T, "p" | "t"> : never;

/** CLOCK_MONOTONIC in microseconds, the same for all processes of a machine. */
export function now(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}

export class Journal {
  #file: number | undefined;
  #faults = 0;

  constructor(path: string) {
    this.#file = openSync(path, "a");
    this.write({ e: "clock", wall: Date.now() * 1_000 });
  }

  write(note: Note<NemesisEntry>, t = now()): void {
    if (this.#file === undefined) return; // what ends after the round is no part of it
    writeSync(this.#file, `${JSON.stringify({ p: "nemesis", t, ...note })}\n`);
  }

  /** Writes down that a fault begins; what it returns, that it has ended. */
  begin(
    fault: Note<Extract<NemesisEntry, { e: "fault" }>> extends infer F ? Omit<F, "e" | "id" | "phase"> : never,
  ): () => void {
    this.#faults += 1;
    const id = this.#faults;
    this.write({ e: "fault", id, phase: "begin", ...fault });
    return () => this.write({ e: "fault", id, phase: "end", ...fault });
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}
