import type { ShareOptions } from "../../src/index.js";

/** What takes part: in a process of its own, so that no contender's garbage or code shapes another's figures. */
export interface Contender {
  /** Waits until it is granted. */
  acquire(key: string): Promise<unknown>;
  release(held: unknown): Promise<unknown>;
  /** In place of acquire and release: for what is no lock, or where a promise between the two would be much of the figure. */
  cycle?(worker: number, key: string): Promise<unknown>;
  /** False when it was refused. One that was granted is not released. */
  tryOnce?(key: string): Promise<boolean>;
  end(): Promise<unknown>;
}

/** Where a contender finds what it needs, as data for the process that it runs in. */
export type ContenderSpec =
  | {
      readonly kind: "leasehold";
      readonly url: string;
      readonly entry: string;
      readonly options?: Readonly<Record<string, number>>;
      /** What is asked for with each acquire. */
      readonly share?: ShareOptions;
    }
  /** `reads`: all take read locks on this key. */
  | { readonly kind: "memory-store"; readonly entry: string; readonly reads?: string }
  | { readonly kind: "redlock" | "redlock-universal" | "sesamecare"; readonly port: number }
  | { readonly kind: "etcd3"; readonly port: number }
  | { readonly kind: "advisory-lock" | "table-lock"; readonly url: string }
  | { readonly kind: "floor"; readonly url: string; readonly statement: FloorStatement };

/** What Postgres asks for without any lock. `both`: as many commits as an acquire and a release. */
export type FloorStatement = "durable" | "asynchronous" | "both" | "select";
