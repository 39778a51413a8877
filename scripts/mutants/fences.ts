// Faults in fences and their epochs. Those of when a fence is drawn are in grants.ts.
//
// Not here, because no test can make the moment happen: an epoch that is verified while another raises it (`e = known`).
import type { Mutant } from "./mutant.js";

const file = "migrations/0001_protocol.sql";
const hidden = ["test/fences/hidden.test.ts"];

export const fences: readonly Mutant[] = [
  {
    name: "fence: not counted on from the last one (one key)",
    file,
    edits: [
      [
        "set token = asked.token,\n                   fence = greatest(l.fence + 1, leasehold_internal._fence()),",
        "set token = asked.token,\n                   fence = leasehold_internal._fence(),",
      ],
    ],
    tests: ["test/fences/rising.test.ts"],
  },
  {
    name: "fence: not counted on from the last one (batch)",
    file,
    edits: [
      [
        "set token = x.token,\n               fence = greatest(l.fence + 1, leasehold_internal._fence()),",
        "set token = x.token,\n               fence = leasehold_internal._fence(),",
      ],
    ],
    tests: ["test/fences/rising.test.ts"],
  },
  {
    name: "fence: only counted on, no position",
    file,
    edits: [
      [
        "return (known.epoch << 48) + (pg_current_wal_insert_lsn() - '0/0')::bigint / 64;",
        "return (known.epoch << 48) + 1;",
      ],
    ],
    tests: ["test/fences/order.test.ts", "test/fences/restores.test.ts"],
  },
  {
    name: "epoch: another cluster is not noticed",
    file,
    edits: [["     or verified.system_identifier is distinct from known.system_identifier\n", ""]],
    tests: [...hidden, "test/fences/restores.test.ts"],
  },
  {
    name: "epoch: another timeline is not noticed",
    file,
    edits: [
      ["verified.epoch := verified.base + coalesce(server.timeline - 1, 0);", "verified.epoch := verified.base;"],
    ],
    tests: ["test/fences/restores.test.ts"],
  },
  {
    name: "epoch: what was verified counts for every server",
    file,
    edits: [
      [
        "   where e.id and e.server_start = pg_postmaster_start_time()\n     and (e.source",
        "   where e.id\n     and (e.source",
      ],
    ],
    tests: hidden,
  },
  {
    name: "epoch: the largest that was used is forgotten",
    file,
    edits: [["verified.top := greatest(known.top, verified.epoch);", ""]],
    tests: hidden,
  },
  {
    name: "epoch: who verifies it waits",
    file,
    edits: [
      [
        "perform from leasehold.fence_epoch e where e.id for update skip locked;",
        "perform from leasehold.fence_epoch e where e.id for update;",
      ],
    ],
    tests: hidden,
  },
  {
    name: "epoch: a service that hides the log ends every grant",
    file,
    edits: [
      [
        "bit(32)::bigint;\n  exception when insufficient_privilege or feature_not_supported or object_not_in_prerequisite_state then",
        "bit(32)::bigint;\n  exception when division_by_zero then",
      ],
    ],
    tests: hidden,
  },
  {
    name: "epoch: a right that was taken away is not noticed",
    file,
    edits: [["and (e.source = 'manual' or leasehold_internal._may_read_position());", ";"]],
    tests: hidden,
  },
  {
    name: "epoch: two bumps at once are one",
    file,
    edits: [["  perform from leasehold.fence_epoch e where e.id for update;\n", ""]],
    tests: hidden,
  },
  {
    name: "check_fence: takes what was never granted",
    file: "migrations/0002_fencing.sql",
    edits: [["if check_fence.fence > last and", "if false and"]],
    tests: ["test/fencing/check-fence.test.ts"],
  },
  {
    name: "check_fence: does not know a fence that came with its key",
    file: "migrations/0002_fencing.sql",
    edits: [["and not exists (select from leasehold.leases l where l.fence >= check_fence.fence)", ""]],
    tests: ["test/fencing/check-fence.test.ts"],
  },
  {
    name: "migrate: rows that are missing are not missed",
    file,
    edits: [["   where exists (select from leasehold.fence_epoch) and exists (select from leasehold.sweeper)\n", ""]],
    tests: ["test/migrate/without-data.test.ts"],
  },
];
