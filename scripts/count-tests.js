// Prints how many tests of a vitest JSON report passed and failed; a file that could not run counts as one that failed.
import { readFileSync } from "node:fs";

try {
  const report = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8"));
  const broken = report.testResults.filter(
    ({ status, assertionResults }) => status === "failed" && assertionResults.every((test) => test.status !== "failed"),
  );
  console.log(report.numPassedTests, report.numFailedTests + broken.length);
} catch (error) {
  console.error(`no test report: ${error.message}`);
  console.log(0, 1);
}
