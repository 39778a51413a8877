// Generated faults in SQL that no test can notice, or need not: each with the reason. The command tells only of others.
import { byId } from "../explanation.js";

export const explained: ReadonlyMap<string, string> = byId([
  {
    ids: ["5facf22740"],
    why: "The insert leaves a row that is there as it is (on conflict do nothing), so the condition only spares the work.",
  },
]);
