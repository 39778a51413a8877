import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "postgresql",
  schema: "./src/postgres/schema/schema.ts",
  out: "./migrations",
  schemaFilter: ["leasehold"],
  migrations: { schema: "leasehold", table: "migrations", prefix: "index" },
});
