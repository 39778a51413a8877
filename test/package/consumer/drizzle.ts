import { type SQL, sql } from "drizzle-orm";
import { bigint, integer, pgTable } from "drizzle-orm/pg-core";
import { drizzle } from "drizzle-orm/postgres-js";
import {
  type ActiveLease,
  activeLeases,
  fencedBy,
  fenceTable,
  guardTable,
  unfenceTable,
  unguardTable,
} from "leasehold/drizzle";

const accounts = pgTable("accounts", {
  id: integer("id").primaryKey(),
  fence: bigint("fence", { mode: "bigint" }).notNull(),
});
export const statements: SQL[] = [
  fenceTable(accounts, accounts.fence),
  unfenceTable(accounts, accounts.fence),
  guardTable(accounts, sql`'account:' || ${accounts.id}`),
  unguardTable(accounts),
  fencedBy(accounts.fence, 5n),
];
export const leases: PromiseLike<ActiveLease[]> = drizzle.mock().select().from(activeLeases);
