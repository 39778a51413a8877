// Rows as Postgres writes them.
import { leaseColumns, type Section, sections, waitColumns } from "../../../src/ui/protocol.js";
import type { Reading, Rows } from "../../../src/ui/reading/reading.js";

type LeaseValues = Partial<Record<(typeof leaseColumns)[number], unknown>>;
type WaitValues = Partial<Record<(typeof waitColumns)[number], unknown>>;

/** As json_build_array writes it: with a space behind each comma. */
function row(columns: readonly string[], values: Readonly<Record<string, unknown>>): string {
  return `[${columns.map((name) => JSON.stringify(values[name] ?? null)).join(", ")}]`;
}

export function leases(...all: readonly LeaseValues[]): Rows {
  return new Map(
    all.map((values) => {
      const lease = {
        state: "held",
        mode: "exclusive",
        owner: "someone",
        acquiredAt: 1_000,
        acquisitions: 1,
        ...values,
      };
      return [`${lease.fence} ${lease.key}`, row(leaseColumns, lease)];
    }),
  );
}

export function waits(...all: readonly WaitValues[]): Rows {
  return new Map(all.map((values) => [`${values.ticket} ${values.key}`, row(waitColumns, values)]));
}

export function reading(found: { readonly [name in Section]?: Rows } = {}, rest: Partial<Reading> = {}): Reading {
  return {
    hello: { database: "app", role: "monitoring", serverVersion: "18.4", isStandby: false },
    isAdmin: null,
    atMs: 5_000,
    tookMs: 3,
    sections: {
      leases: new Map(),
      waits: new Map(),
      sessions: new Map(),
      deadlocks: new Map(),
      blockers: new Map(),
      ...found,
    },
    cut: new Set(),
    stats: null,
    ...rest,
  };
}

export const sectionNames = Object.keys(sections) as readonly Section[];
