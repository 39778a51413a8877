// npm run bench:chart [-- RESULTS.json CHART.svg]
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { drawChart } from "./chart.js";

const [
  results = fileURLToPath(new URL("results.json", import.meta.url)),
  chart = fileURLToPath(new URL("../docs/speed.svg", import.meta.url)),
] = process.argv.slice(2);
writeFileSync(chart, drawChart(JSON.parse(readFileSync(results, "utf8"))));
console.log(`drawn: ${chart}`);
