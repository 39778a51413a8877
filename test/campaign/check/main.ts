// node --import tsx test/campaign/check/main.ts FILE...: checks the logs of one round, and prints what it found.
import { check, type Verdict } from "./check.js";

const files = process.argv.slice(2);
if (files.length === 0) {
  console.error("usage: node --import tsx test/campaign/check/main.ts FILE...\nAll files are the logs of one round.");
  process.exit(2);
}

function print({ violations, checked, unsure }: Verdict): void {
  for (const [promise, counts] of Object.entries(checked)) {
    const list = (of: Readonly<Record<string, number>>): string => {
      return Object.entries(of)
        .map(([what, count]) => `${count} ${what}`)
        .join("; ");
    };
    const left = unsure[promise as keyof typeof unsure];
    if (Object.keys(counts).length > 0) console.log(`${promise}: ${list(counts)}`);
    if (Object.keys(left).length > 0) console.log(`${promise}, left out: ${list(left)}`);
  }
  for (const { promise, text, evidence } of violations) {
    console.log(`\nVIOLATION of ${promise}: ${text}`);
    for (const entry of evidence) console.log(`  ${JSON.stringify(entry)}`);
  }
  console.log(violations.length === 0 ? "\nNo violations." : `\n${violations.length} violations.`);
}

const verdict = check(files);
print(verdict);
process.exitCode = verdict.violations.length === 0 ? 0 : 1;
