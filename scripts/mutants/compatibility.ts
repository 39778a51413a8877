// Faults in what is done for versions of Postgres, and for platforms.
import type { Mutant } from "./mutant.js";

const oldServer = ["test/connections/old-server.test.ts"];
const pgbouncer = ["test/faults/pgbouncer.test.ts"];
const windows = ["test/unit/cli/windows.test.ts"];

export const compatibility: readonly Mutant[] = [
  {
    name: "compatibility: a locker takes a server of any age",
    file: "src/postgres/connection/connect.ts",
    edits: [["  if (!acceptsOld) refuseOldServer(", "  if (acceptsOld) refuseOldServer("]],
    tests: oldServer,
  },
  {
    name: "compatibility: doctor cannot look at a server that is too old",
    file: "src/postgres/connection/queries.ts",
    edits: [["        acceptsOld: true,\n", ""]],
    tests: oldServer,
  },
  {
    name: "compatibility: all questions to a pooler must be answered in the time for one",
    file: "src/postgres/session/inspection.ts",
    edits: [
      [
        "await refusePooler({ link, hello, probes, patienceMs });",
        "await withTimeout(refusePooler({ link, hello, probes, patienceMs }), patienceMs);",
      ],
    ],
    tests: pgbouncer,
  },
  {
    name: "compatibility: run listens for signals that the platform does not have",
    file: "src/cli/run/signals.ts",
    edits: [["of knownOf(forwarded, known))", "of forwarded)"]],
    tests: windows,
  },
  {
    name: "compatibility: Ctrl-Break ends run without a word",
    file: "src/cli/run/signals.ts",
    edits: [['  "SIGBREAK",\n', ""]],
    tests: windows,
  },
  {
    name: "compatibility: Ctrl-Z suspends where nothing can be suspended",
    file: "src/cli/watch/screen.ts",
    edits: [['    if (!("SIGTSTP" in known)) return;\n', ""]],
    tests: windows,
  },
];
