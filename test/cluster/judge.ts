// What docs/reference/guarantees.md promises, asked of a history. It knows nothing of the library but how a fence is put together:
// the upper 15 bits are an epoch, which rises with each promotion (decision 14).
//
// With synchronous replication nothing is excused. With asynchronous replication the promise has a limit: "an asynchronous failover
// that loses a grant or a renewal, or while a cut-off old primary goes on answering". What falls under it is counted, and only if the
// two grants come from two servers, and only for faults that may lose something.
import { Findings, type Verdict } from "./findings.js";
import type { FaultFacts, FinalState, History } from "./history.js";
import { judgeBeliefs } from "./judge-beliefs.js";
import { judgeCalls } from "./judge-calls.js";
import { judgeFences } from "./judge-fences.js";
import { judgeWrites } from "./judge-writes.js";

export function judge(history: History, final: FinalState, facts: FaultFacts): Verdict {
  const findings = new Findings(facts);
  judgeBeliefs(history, findings);
  judgeFences(history.grants, findings);
  judgeWrites(history, final, findings);
  judgeCalls(history, findings);
  return findings;
}
