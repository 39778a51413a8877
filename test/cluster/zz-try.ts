import { compileSources } from "../support/compiled.js";
import { runToEnd } from "../support/run-to-end.js";
import { HighlyAvailable } from "./cluster.js";
import { faults } from "./faults.js";
import { findPrograms } from "./programs.js";
import { runFault } from "./run.js";

await runToEnd(async () => {
  await using _ = { [Symbol.asyncDispose]: await compileSources() };
  await using c = await HighlyAvailable.start(findPrograms(), process.argv[2] as "async");
  for (const name of process.argv.slice(3)) {
    const t = performance.now();
    const r = await runFault(c, faults.find((f) => f.name === name)!, Math.random);
    console.log(
      JSON.stringify({ ...r, violations: r.violations.slice(0, 30), n: r.violations.length }, null, 1),
      ((performance.now() - t) / 1000).toFixed(0),
      "s",
    );
  }
  return true;
});
