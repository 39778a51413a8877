// A worker's log: one JSON line an entry, written at once, so that nothing is lost when the process is killed.
import { closeSync, openSync, writeSync } from "node:fs";
import type { Grant, ProcessEntry } from "../log.js";
import { type Failure, toFailure } from "./failure.js";

type Without<Whole, Names extends PropertyKey> = Whole extends unknown ? Omit<Whole, Names> : never;
export type Note = Without<ProcessEntry, "p" | "t">;
export type Call = Omit<Extract<Note, { readonly e: "call" }>, "e" | "id">;
type Settled = Extract<Note, { readonly e: "settled" }>;

/** How a call has ended, when it was no error. */
export interface Ended {
  readonly outcome: "done" | "nothing";
  readonly grants?: readonly Grant[];
}

export type Result<Value> =
  | { readonly isDone: true; readonly value: Value }
  | { readonly isDone: false; readonly failure: Failure };

/** CLOCK_MONOTONIC in microseconds, which is the same for all processes of a machine. */
export function now(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}

/** A call that was written down, and has not settled yet. */
export interface OpenCall {
  readonly isOpen: boolean;
  end(ended: Ended): void;
  /** Of an error that no user has to live with, this tells, too. */
  fail(error: unknown): Failure;
}

export class LogFile {
  readonly #file: number;
  readonly #name: string;
  #lines = 0;
  #calls = 0;
  #open = 0;
  readonly #counts: Record<string, number> = {};

  constructor(path: string, name: string) {
    this.#file = openSync(path, "a");
    this.#name = name;
  }

  /** Calls without an answer. */
  get open(): number {
    return this.#open;
  }

  get lines(): number {
    return this.#lines;
  }

  /** How many calls ended how: `acquire: wait-timeout`. */
  get counts(): Readonly<Record<string, number>> {
    return this.#counts;
  }

  write(note: Note, t = now()): void {
    this.#lines += 1;
    writeSync(this.#file, `${JSON.stringify({ p: this.#name, t, ...note })}\n`);
  }

  uncaught(error: unknown, how = "caught by the worker"): void {
    const text = error instanceof Error ? String(error.stack ?? error) : String(error);
    this.write({ e: "uncaught", text: `${how}: ${text}` });
  }

  /** Writes down a call that begins now, and what has become of it. */
  async call<Value>(
    call: Call,
    run: () => Promise<Value>,
    read: (value: Value) => Ended = () => ({ outcome: "done" }),
  ): Promise<Result<Value>> {
    const open = this.begin(call);
    try {
      const value = await run();
      open.end(read(value));
      return { isDone: true, value };
    } catch (error) {
      return { isDone: false, failure: open.fail(error) };
    }
  }

  begin(call: Call): OpenCall {
    this.#calls += 1;
    this.#open += 1;
    const id = this.#calls;
    let isOpen = true;
    const settle = (settled: Omit<Settled, "e" | "id">, t: number): void => {
      if (!isOpen) {
        this.uncaught(new Error(`the call ${id} (${call.call}) has settled twice`));
        return;
      }
      isOpen = false;
      this.#open -= 1;
      const what = `${call.call}: ${settled.code ?? settled.outcome}`;
      this.#counts[what] = (this.#counts[what] ?? 0) + 1;
      this.write({ e: "settled", id, ...settled }, t);
    };
    this.write({ e: "call", id, ...call });
    return {
      get isOpen() {
        return isOpen;
      },
      end: (ended) => settle(ended, now()),
      fail: (error) => {
        const t = now();
        const failure = toFailure(error);
        const { code, reason, message, isKnown } = failure;
        settle({ outcome: "error", code, message, ...(reason === undefined ? {} : { reason }) }, t);
        if (!isKnown) this.uncaught(error);
        return failure;
      },
    };
  }

  close(): void {
    closeSync(this.#file);
  }
}
