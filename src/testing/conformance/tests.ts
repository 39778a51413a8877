import type { Process } from "./process.js";

/** What a test works with: two processes over one new and empty store, and as many others as it opens. */
export interface World {
  readonly one: Process;
  readonly other: Process;
  open(): Promise<Process>;
}

/** Tests by name: each name is a sentence of the port. */
export type Tests = Readonly<Record<string, (world: World) => Promise<void>>>;
