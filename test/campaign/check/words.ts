// How sentences name things.
import type { GrantRow } from "./entries.js";
import type { History } from "./history.js";
import { grantOf, type Hold } from "./keys.js";
import type { Handle } from "./processes.js";

export function sayKey(key: string): string {
  return JSON.stringify(key.length > 60 ? `${key.slice(0, 40)}...${key.slice(-8)}` : key);
}

export function sayHandle({ process, grant }: Handle): string {
  return `lock ${grant.lock} of ${process.name} (fence ${grant.fence})`;
}

export function sayRow(row: GrantRow): string {
  const how = row.kind === "lease" ? "" : `share of ${row.weight}${row.capacity === null ? "" : `/${row.capacity}`}, `;
  return `${how}fence ${row.fence}, ${row.owner ?? "nobody"}`;
}

export function sayHold(history: History, hold: Hold): string {
  const first = grantOf(hold);
  const who = hold.handles.map(({ process }) => process.name).join(", ");
  return `fence ${hold.fence} (${who === "" ? (first.owner ?? "nobody") : who}, granted at ${history.times.sayWall(first.at, first.node)})`;
}
