// Writes the files that are loaded by the main entry, and then by migrate(), as JSON: node loaded.mjs <import|require>
import { Session } from "node:inspector";
import { createRequire } from "node:module";

const [how] = process.argv.slice(2);
const files = [];
const session = new Session();
session.connect();
session.on("Debugger.scriptParsed", ({ params }) => files.push(params.url));
session.post("Debugger.enable");
const { createLocker } = how === "require" ? createRequire(import.meta.url)("leasehold") : await import("leasehold");
const byEntry = files.splice(0);
const locker = createLocker({ url: process.env.DATABASE_URL });
await locker.migrate();
await locker.close();
const installed = (file) => file.includes("node_modules");
console.log(JSON.stringify([byEntry.filter(installed), files.filter(installed)]));
