// Migrates the database of the address in its first argument, when it is told to by a line on its standard input.
import { once } from "node:events";
import { migrateDatabase } from "../../src/postgres/schema/migrate.js";
import { connectTo } from "./connection.js";

const [url] = process.argv.slice(2);
if (url === undefined) throw new Error("usage: worker.ts <url>");

await import("../../src/postgres/schema/upgrade.js"); // loaded before, so that all start at one moment
console.log("ready");
await once(process.stdin, "data");
await migrateDatabase(connectTo(url));
process.stdin.destroy();
