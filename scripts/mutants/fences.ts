// Faults in fences and their epochs. Those of when a fence is drawn are in grants.ts.
//
// Not here, because no test can make the moment happen: an epoch that is verified while another raises it (`e = known`).
import type { Mutant } from "./mutant.js";

const hidden = ["test/fences/hidden.test.ts"];

export const fences: readonly Mutant[] = [
  {
    name: "fence: not counted on from the last one",
    file: "src/sql/parts/grant.sql",
    edits: [["greatest(l.fence + 1, x.drawn)", "x.drawn"]],
    tests: ["test/exclusion/first-attempt.test.ts", "test/fences/rising.test.ts"],
  },
  {
    name: "fence: only counted on, no position",
    file: "src/sql/fences/_wal_position.sql",
    edits: [["return (pg_current_wal_insert_lsn() - '0/0')::bigint / 64;", "return 1;"]],
    tests: ["test/fences/order.test.ts", "test/fences/restores.test.ts"],
  },
  {
    name: "epoch: another cluster is not noticed",
    file: "src/sql/fences/_verify_epoch.sql",
    edits: [["     or verified.system_identifier is distinct from known.system_identifier\n", ""]],
    tests: [...hidden, "test/fences/restores.test.ts"],
  },
  {
    name: "epoch: another timeline is not noticed",
    file: "src/sql/fences/_verify_epoch.sql",
    edits: [
      ["verified.epoch := verified.base + coalesce(server.timeline - 1, 0);", "verified.epoch := verified.base;"],
    ],
    tests: ["test/fences/restores.test.ts"],
  },
  {
    name: "epoch: what was verified counts for every server",
    file: "src/sql/parts/known_fence.sql",
    edits: [["where e.id and e.server_start = pg_postmaster_start_time()\n", "where e.id\n"]],
    tests: hidden,
  },
  {
    name: "epoch: the largest that was used is forgotten",
    file: "src/sql/fences/_verify_epoch.sql",
    edits: [["verified.top := greatest(known.top, verified.epoch);", ""]],
    tests: hidden,
  },
  {
    name: "epoch: who verifies it waits",
    file: "src/sql/fences/_verify_epoch.sql",
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
    file: "src/sql/fences/_server_identity.sql",
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
    file: "src/sql/parts/known_fence.sql",
    edits: [["\n    and (e.source = 'manual' or leasehold_internal._may_read_wal_position())", ""]],
    tests: hidden,
  },
  {
    name: "epoch: two bumps at once are one",
    file: "src/sql/api/bump_epoch.sql",
    edits: [["  perform from leasehold.fence_epoch e where e.id for update;\n", ""]],
    tests: hidden,
  },
  {
    name: "check_fence: takes what was never granted",
    file: "src/sql/api/check_fence.sql",
    edits: [["if check_fence.fence > last and", "if false and"]],
    tests: ["test/fencing/check-fence.test.ts"],
  },
  {
    name: "check_fence: does not know a fence that came with its key",
    file: "src/sql/api/check_fence.sql",
    edits: [["and not exists (select from leasehold.leases l where l.fence >= check_fence.fence)", ""]],
    tests: ["test/fencing/check-fence.test.ts"],
  },
  {
    name: "migrate: rows that are missing are not missed",
    file: "src/sql/common/schema_info.sql",
    edits: [["   where exists (select from leasehold.fence_epoch) and exists (select from leasehold.sweeper)\n", ""]],
    tests: ["test/migrate/without-data.test.ts"],
  },
];
