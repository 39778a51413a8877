// Postgres, by the tests that every store has to pass.
import { describe, it } from "vitest";
import { storeConformance } from "../../src/testing.js";
import { createDatabase } from "../support/database.js";
import { postgresStore } from "../support/postgres-store.js";

const database = await createDatabase();

storeConformance({
  describe,
  it,
  create: () => postgresStore(database),
  // what is still held when a test ends
  destroy: async () => {
    await database.sql`truncate leasehold.leases, leasehold.shares, leasehold.waiters, leasehold.resource_fences`;
  },
});
