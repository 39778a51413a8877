// Writes the names that an entry exports, by import and by require, as JSON: node names.mjs <entry>
import { createRequire } from "node:module";

const [entry] = process.argv.slice(2);
const names = (module) =>
  Object.keys(module)
    .filter((name) => name !== "default" && name !== "module.exports")
    .sort();
console.log(JSON.stringify([await import(entry), createRequire(import.meta.url)(entry)].map(names)));
