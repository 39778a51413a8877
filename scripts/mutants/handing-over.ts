// Faults in what takes a lock from one holder to another.
import { type Mutant, one } from "./mutant.js";

const detach = "src/sql/leases/detach_lock.sql";
const adopt = "src/sql/leases/adopt.sql";
const client = { detach: "src/hold/detach.ts", adopt: "src/acquire/adopt.ts", memory: "src/memory/memory-leases.ts" };
const handOver = "test/adopt/hand-over.test.ts";
const processes = "test/adopt/processes.test.ts";
const sql = "test/adopt/sql.test.ts";
const faults = "test/adopt/faults.test.ts";
const memory = "test/adopt/memory.test.ts";
const instances = "test/adopt/instances.test.ts";
const unit = { detach: ["test/unit/detach.test.ts"], adopt: ["test/unit/adopt.test.ts"] };

export const handingOver: readonly Mutant[] = [
  one(
    "detach: the lease stays on its session",
    detach,
    [["       set session_id = null,\n           takeover_ms = null,\n", "       set\n"]],
    handOver,
    processes,
  ),
  one(
    "detach: shortens",
    detach,
    [
      ["greatest(\n             l.expires_at, least(", "(least("],
      ["l.max_hold_until))\n", "l.max_hold_until))\n"],
    ],
    sql,
  ),
  one(
    "detach: revives what has expired",
    detach,
    [["reason := leasehold_internal._loss_reason(lease, p_token, p_fence);", "reason := null;"]],
    sql,
  ),
  one(
    "detach: leaves the lease what is left of it",
    detach,
    [["least(moment + p_ttl_ms * interval '1 millisecond', l.max_hold_until)", "l.expires_at"]],
    handOver,
  ),
  one(
    "adopt: the token stays",
    adopt,
    [["         set token = p_new_token,\n             owner", "         set owner"]],
    handOver,
    sql,
  ),
  one(
    "adopt: takes the presence of a living session",
    adopt,
    [["elsif successor <> p_session or successor is not null and p_session is null then", "elsif false then"]],
    handOver,
    sql,
  ),
  one(
    "adopt: a locker without presence takes the presence of a living session",
    adopt,
    [
      [
        "elsif successor <> p_session or successor is not null and p_session is null then",
        "elsif successor <> p_session then",
      ],
    ],
    handOver,
  ),
  one(
    "loss: what was released in time counts as expired",
    "src/sql/leases/_loss_reason.sql",
    [
      [
        "when lease.token is null and lease.fence = held_fence and lease.released_at < lease.expires_at then",
        "when false then",
      ],
    ],
    handOver,
  ),
  one("adopt: passes a guard", adopt, [["for update skip locked", "for no key update skip locked"]], handOver, sql),
  one(
    "adopt: one that comes late",
    adopt,
    [["if leasehold_internal._ms(clock_timestamp()) >= p_not_after then", "if false then"]],
    faults,
  ),
  one(
    "adopt: asked again it is taken",
    adopt,
    [["l.token in (p_token, p_new_token)", "l.token = p_token"]],
    "test/stores/postgres.test.ts",
    faults,
  ),
  one(
    "adopt: asked again it shortens",
    adopt,
    [["case when l.token = p_new_token then l.expires_at end", "null"]],
    "test/stores/postgres.test.ts",
    sql,
  ),
  one(
    "adopt: a share that is asked for again ends earlier",
    "src/sql/shares/_adopt_share.sql",
    [["case when s.token = p_new_token then s.expires_at end", "null"]],
    sql,
  ),
  one(
    "memory: an adoption that is asked for again shortens",
    "src/memory/memory-leases.ts",
    [["lease.token === newToken ? Math.max(nowMs + ttlMs, lease.expiresAtMs) : nowMs + ttlMs", "nowMs + ttlMs"]],
    "test/stores/memory.test.ts",
  ),
  one(
    "adopt: a lease without presence stays without",
    adopt,
    [["             session_id = p_session,\n", ""]],
    processes,
    handOver,
  ),
  one(
    "adopt: the maximum hold begins anew",
    adopt,
    [["max_hold_until = least(l.max_hold_until, moment", "max_hold_until = least(moment"]],
    handOver,
    "test/stores/postgres.test.ts",
  ),
  one(
    "adopt: revives what has expired",
    adopt,
    [
      [
        "    if reason is not null then\n      outcome := 'lost';",
        "    if lease.token is distinct from p_token then\n      outcome := 'lost';",
      ],
    ],
    handOver,
    sql,
  ),
  one(
    "adopt: not on disk when it is answered",
    adopt,
    [["  end if;\n  perform leasehold_internal._commit_durably();\n", "  end if;\n"]],
    sql,
  ),
  one(
    "detach in SQL: a row that is locked for a moment is given up",
    "src/sql/api/detach_lock.sql",
    [["exit when answer.outcome <> 'busy' or attempt = 3;", "exit;"]],
    sql,
  ),
  one(
    "adopt in SQL: a row that is locked for a moment is given up",
    "src/sql/api/adopt.sql",
    [["exit when answer.outcome <> 'busy' or attempt = 3;", "exit;"]],
    sql,
  ),

  one(
    "detach: a renewal in flight is not waited for",
    client.detach,
    [["await beforehand(renewals.pause(lease), deadline);", ""]],
    ...unit.detach,
  ),
  one(
    "detach: without an answer the renewals stay away",
    client.detach,
    [["    renewals.resume(lease);\n", ""]],
    ...unit.detach,
  ),
  one(
    "detach: does not wait for an attempt without an answer",
    client.detach,
    [["if (!claim.isCertain) {", "if (claim.token === null) {"]],
    ...unit.detach,
    faults,
  ),
  one(
    "detach: a late answer hands over what was released or lost",
    client.detach,
    [
      [
        "function isDetached(lease: Lease, answer: RenewAnswer): boolean {\n  lease.refuseUnlessHeld();\n",
        "function isDetached(lease: Lease, answer: RenewAnswer): boolean {\n",
      ],
    ],
    ...unit.detach,
  ),
  one(
    "renewals: a lease that is being detached is renewed",
    "src/hold/renewals.ts",
    [["renewal.isInFlight || renewal.isPaused", "renewal.isInFlight"]],
    ...unit.detach,
  ),
  one(
    "adopt: without an answer nothing is cleaned up",
    client.adopt,
    [["if (isAdopted || claim.isUnfinished) {", "if (isAdopted) {"]],
    ...unit.adopt,
    faults,
  ),
  one(
    "adopt: a lock that comes too late is left behind",
    client.adopt,
    [["if (isAdopted || claim.isUnfinished) {", "if (claim.isUnfinished) {"]],
    ...unit.adopt,
    faults,
  ),
  one(
    "adopt: a locker that is closing gets a lock",
    client.adopt,
    [["      isAdopted = true;\n      this.#refuseIfClosing();\n", "      isAdopted = true;\n"]],
    ...unit.adopt,
  ),
  one(
    "adopt: close() does not wait for it",
    client.adopt,
    [
      ["    background.beginCall();\n", ""],
      ["      background.endCall();\n", ""],
    ],
    ...unit.adopt,
  ),
  one(
    "adopt: the last word ends the minimum hold",
    client.adopt,
    [["    claim.wasHeld = true; // by whoever handed it over\n", ""]],
    ...unit.adopt,
  ),
  one(
    "adopt: what the lock was acquired with is forgotten",
    client.adopt,
    [["      claim.terms = termsOf(terms, answer);\n", ""]],
    ...unit.adopt,
    handOver,
  ),
  one(
    "adopt: a request without an answer hides who has the row",
    "src/acquire/adopt.ts",
    [
      [
        "          throw rowLocked(grant.key, answer.blockingPid); // told also if the next request has no answer\n",
        "          return undefined;\n",
      ],
    ],
    ...unit.adopt,
  ),
  one(
    "adopt: held since the adoption",
    "src/hold/lease.ts",
    [["grant.ageMs === undefined ? at : after(at, -grant.ageMs)", "at"]],
    ...unit.adopt,
  ),
  one(
    "adopt: what this locker holds is asked for",
    "src/locker/store-locker.ts",
    [["if (this.#holdings.hasGrant(grant)) {", "if (grant.fence < 0n) {"]],
    handOver,
  ),
  one(
    "adopt: an error shows what should be a detached lock",
    "src/errors/argument-errors.ts",
    [["|^detached$", ""]],
    ...unit.adopt,
  ),
  one(
    "adopt: where its key belongs, whatever instance it names",
    "src/locker/routed-locker.ts",
    [["instance === null ? this.#router.ofFullKey(key) : this.#lockers.get(instance)", "this.#router.ofFullKey(key)"]],
    instances,
  ),
  one(
    "adopt: on whichever instance",
    "src/locker/store-locker.ts",
    [
      [
        "if (instance !== null && own !== null && instance !== own) {",
        "if (own === instance && own === null && instance !== null) {",
      ],
    ],
    instances,
  ),
  one(
    "memory: a detached lease ends with its process",
    client.memory,
    [['    if (answer.outcome === "renewed" && lease !== undefined) {\n      lease.process = nobody;\n    }\n', ""]],
    memory,
  ),
  one(
    "memory: an adoption leaves the token",
    client.memory,
    [["{ ...lease, token: newToken, owner,", "{ ...lease, owner,"]],
    "test/stores/memory.test.ts",
    memory,
  ),
  one(
    "memory: an adoption robs a living process",
    client.memory,
    [
      [
        "if (lease.process !== process && nowMs < lease.process.orphanedAtMs && lease.process !== nobody) {",
        "if (lease.isRevoked) {",
      ],
    ],
    "test/stores/memory.test.ts",
  ),
  one(
    "a store that hands nothing over: it is detached all the same",
    "src/store/store-backend.ts",
    [['      optional(this.#store, "adopt"); // or nobody could go on with it\n', ""]],
    memory,
  ),
  one(
    "otel: a detached lock stays active",
    "src/otel/metrics.ts",
    [['  subscriptions.on<DetachMessage>("leasehold:detach", (message) => active.remove(idOf(message)));\n', ""]],
    "test/inspect/otel.test.ts",
  ),
];
