// Faults in who may renew and release, and for how long.
//
// Not here, because they change nothing that could be seen:
// - the plain update of a release takes what was revoked, too: _free does the same with it.
import type { Mutant } from "./mutant.js";

const plainOne =
  "and l.token = p_tokens[1] and l.fence = p_fences[1] and l.revoked_at is null and l.expires_at > clock_timestamp()";
const plainSeveral = `l.token = w.token and l.fence = w.fence
         and not l.queued and l.min_hold_ms = 0 and l.revoked_at is null and l.expires_at > clock_timestamp()`;
/** What the plain update leaves. */
const left =
  "where k.key >= w.key and k.key <= w.key and k.token = w.token and (w.fence is null or k.fence = w.fence)\n           order by k.key desc\n           limit 1\n             for no key update skip locked";
const renewals =
  "k.token = w.token and k.fence = w.fence\n         order by k.key desc\n         limit 1\n           for no key update skip locked";
const renewed = "where l.ctid = x.version and l.expires_at > d.at and l.revoked_at is null";
const staleToken = ["test/fences/stale-token.test.ts"];
const firstAttempt = ["test/exclusion/first-attempt.test.ts"];
const maxHold = ["test/loss/max-hold.test.ts"];

const release = (name: string, edits: Mutant["edits"], tests = firstAttempt): Mutant => ({
  name: `release: ${name}`,
  file: "src/sql/leases/release.sql",
  edits,
  tests,
});
const free = (name: string, edits: Mutant["edits"], tests = firstAttempt): Mutant => ({
  name: `release: ${name}`,
  file: "src/sql/leases/_free.sql",
  edits,
  tests,
});
const renew = (name: string, edits: Mutant["edits"], tests = firstAttempt): Mutant => ({
  name: `renew: ${name}`,
  file: "src/sql/leases/renew.sql",
  edits,
  tests,
});

export const leases: readonly Mutant[] = [
  {
    name: "max hold: a renewal goes beyond it",
    file: "src/sql/leases/renew.sql",
    edits: [
      [
        "least(d.at + p_ttl_ms * interval '1 millisecond', l.max_hold_until)",
        "d.at + p_ttl_ms * interval '1 millisecond'",
      ],
    ],
    tests: maxHold,
  },
  {
    name: "max hold: a grant goes beyond it",
    file: "src/sql/leases/_write_grant.sql",
    edits: [["moment + least(p_ttl_ms, p_max_hold_ms) * interval", "moment + p_ttl_ms * interval"]],
    tests: maxHold,
  },
  {
    name: "max hold: a grant of a new key goes beyond it",
    file: "src/sql/leases/_insert_grant.sql",
    edits: [["moment + least(p_ttl_ms, p_max_hold_ms) * interval", "moment + p_ttl_ms * interval"]],
    tests: maxHold,
  },
  {
    name: "max hold: none for renewals (one row)",
    file: "src/sql/leases/_write_grant.sql",
    edits: [
      [
        "max_hold_until = bound,\n           acquired_at = moment,\n           renewed_at = moment,\n           expires_at = until,\n           hold_until = null,\n           revoked_at = null,\n           queued = l.queued and exists (select from leasehold.waiters w where w.key = l.key),\n           metadata = p_metadata::jsonb,\n           released_at = null,\n           acquisitions = l.acquisitions + 1\n     where l.ctid",
        "max_hold_until = null,\n           acquired_at = moment,\n           renewed_at = moment,\n           expires_at = until,\n           hold_until = null,\n           revoked_at = null,\n           queued = l.queued and exists (select from leasehold.waiters w where w.key = l.key),\n           metadata = p_metadata::jsonb,\n           released_at = null,\n           acquisitions = l.acquisitions + 1\n     where l.ctid",
      ],
    ],
    tests: maxHold,
  },
  renew("shortens", [["greatest(l.expires_at, least(d.at", "greatest('-infinity', least(d.at"]], staleToken),
  renew("no comparison of tokens", [[renewals, renewals.replace("k.token = w.token and ", "")]], staleToken),
  renew("no comparison of fences", [[renewals, renewals.replace(" and k.fence = w.fence", "")]], staleToken),
  renew("an expired lease comes back", [[renewed, renewed.replace(" and l.expires_at > d.at", "")]], staleToken),
  renew("a revoked lease comes back", [[renewed, renewed.replace(" and l.revoked_at is null", "")]]),
  renew(
    "waits for a locked row",
    [[renewals, renewals.replace(" skip locked", "")]],
    ["test/exclusion/strangers.test.ts"],
  ),
  renew(
    "whatever its row says of the presence, it is the caller's",
    [["session_id = x.successor,", "session_id = p_session,"]],
    ["test/presence/hands.test.ts"],
  ),
  renew("the presence never changes hands", [
    ["else leasehold_internal._successor(k.lease, p_session, p_former)", "else k.session_id"],
  ]),
  renew("a bound or a longer lease counts as the time that was asked for", [
    [
      "l.expires_at = d.at + p_ttl_ms * interval '1 millisecond'\n                and x.session_id",
      "p_ttl_ms is not null\n                and x.session_id",
    ],
  ]),
  renew(
    "what was not renewed counts as renewed",
    [["if renewed < cardinality(p_keys) then", "if false then"]],
    staleToken,
  ),
  renew("what others have is told of all", [["where l.is_renewed is not true);", ");"]]),
  renew("not durable", [["  perform leasehold_internal._commit_durably();\n", ""]]),
  {
    name: "renew_busy: whatever it finds is renewed",
    file: "src/sql/leases/renew_busy.sql",
    edits: [["coalesce(r.rest::json #>> '{0,1}', 'renewed')", "'renewed'"]],
    tests: firstAttempt,
  },
  release(
    "no comparison of tokens (one key)",
    [[plainOne, plainOne.replace("l.token = p_tokens[1] and ", "")]],
    staleToken,
  ),
  release(
    "no comparison of fences (one key)",
    [[plainOne, plainOne.replace(" and l.fence = p_fences[1]", "")]],
    staleToken,
  ),
  release(
    "by the key alone (one key)",
    [[plainOne, plainOne.replace("l.token = p_tokens[1] and l.fence = p_fences[1]", "l.token is not null")]],
    ["test/bugs/ownership.test.ts"],
  ),
  release("what has expired was held (one key)", [
    [plainOne, plainOne.replace(" and l.expires_at > clock_timestamp()", "")],
  ]),
  release(
    "no comparison of tokens (several keys)",
    [[plainSeveral, plainSeveral.replace("l.token = w.token and ", "")]],
    staleToken,
  ),
  release(
    "no comparison of fences (several keys)",
    [[plainSeveral, plainSeveral.replace(" and l.fence = w.fence", "")]],
    staleToken,
  ),
  release("what has expired was held (several keys)", [
    [plainSeveral, plainSeveral.replace(" and l.expires_at > clock_timestamp()", "")],
  ]),
  release("forgets the minimum hold (one key)", [
    ["case when l.min_hold_ms > 0 then l.acquired_at + l.min_hold_ms * interval '1 millisecond' end", "null"],
  ]),
  release("forgets the minimum hold (several keys)", [
    [plainSeveral, plainSeveral.replace(" and l.min_hold_ms = 0", "")],
  ]),
  release("wakes nobody (one key)", [["      rest := '[[1,\"released\",null,' || wake || ']]';\n", ""]]),
  release("does not look whether anybody waits (several keys)", [
    [plainSeveral, plainSeveral.replace("not l.queued and ", "")],
  ]),
  release("its own entry in the queue stays (one key)", [
    ["    perform leasehold_internal._remove_entry(p_keys[1], p_tokens[1]);\n", ""],
  ]),
  release("waits for as long as a row is locked", [["set lock_timeout = '5ms'\n", ""]]),
  release("a row that is locked fails the statement", [
    ["exception when lock_not_available or deadlock_detected then", "exception when division_by_zero then"],
  ]),
  release("what the plain update leaves counts as released", [
    ["elsif freed < cardinality(p_keys) then", "elsif false then"],
  ]),
  release("what was released before counts as released now", [
    [
      "(l.fence = u.fence and l.released_at = moment) is not true",
      "(l.fence = u.fence and l.released_at is not null) is not true",
    ],
  ]),
  release("whoever's release of the key counts", [
    ["(l.fence = u.fence and l.released_at = moment) is not true", "(l.released_at = moment) is not true"],
  ]),
  release("waits for the disk", [["  if p_relaxed then\n", "  if false then\n"]]),
  free(
    "no comparison of tokens (what is left)",
    [[left, left.replace("k.token = w.token and ", "k.token is not null and ")]],
    staleToken,
  ),
  free(
    "no comparison of fences (what is left)",
    [[left, left.replace(" and (w.fence is null or k.fence = w.fence)", "")]],
    staleToken,
  ),
  free("waits for a locked row (what is left)", [[left, left.replace(" skip locked", "")]]),
  free("waits for a guard (what is left)", [[left, left.replace("for no key update", "for update")]]),
  free("forgets the minimum hold (what is left)", [["and l.min_hold_ms > 0", "and l.min_hold_ms < 0"]]),
  free("wakes nobody (what is left)", [["      wake := leasehold_internal._head_session(freed.key);\n", ""]]),
  free("its own entry in the queue stays (what is left)", [
    ["      perform leasehold_internal._remove_entry(freed.key, p_tokens[item]);\n", ""],
  ]),
  {
    name: "grant: asked for again, its own entry in the queue stays",
    file: "src/sql/leases/acquire.sql",
    edits: [["        perform leasehold_internal._remove_entry(asked.key, asked.token);\n", "        null;\n"]],
    tests: firstAttempt,
  },
  {
    name: "heartbeat: the presence lock is not asked",
    file: "src/sql/sessions/heartbeat.sql",
    edits: [
      [
        "if current_setting('leasehold.session', true) = p_nonce::text and leasehold_internal._holds_presence(p_id) then",
        "if current_setting('leasehold.session', true) = p_nonce::text then",
      ],
    ],
    tests: ["test/presence/confirmed-dead.test.ts"],
  },
];
