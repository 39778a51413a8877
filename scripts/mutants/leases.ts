// Faults in who may renew and release, and for how long.
//
// Not here, because they change nothing that could be seen:
// - the plain update of a release takes what was revoked, too: _free_leases does the same with it.
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
const looks = ["test/waiting/looks.test.ts"];
const maxHold = ["test/loss/max-hold.test.ts"];

const release = (name: string, edits: Mutant["edits"], tests = firstAttempt): Mutant => ({
  name: `release: ${name}`,
  file: "src/sql/leases/release.sql",
  edits,
  tests,
});
const free = (name: string, edits: Mutant["edits"], tests = firstAttempt): Mutant => ({
  name: `release: ${name}`,
  file: "src/sql/leases/_free_leases.sql",
  edits,
  tests,
});
const wake = (name: string, edits: Mutant["edits"], tests = firstAttempt): Mutant => ({
  name: `wake: ${name}`,
  file: "src/sql/queue/_session_of_next_waiter.sql",
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
    file: "src/sql/parts/grant.sql",
    edits: [["x.moment + least(p_ttl_ms, p_max_hold_ms) * interval", "x.moment + p_ttl_ms * interval"]],
    tests: maxHold,
  },
  {
    name: "max hold: a grant of a new key goes beyond it",
    file: "src/sql/leases/_insert_grant.sql",
    edits: [["moment + least(p_ttl_ms, p_max_hold_ms) * interval", "moment + p_ttl_ms * interval"]],
    tests: maxHold,
  },
  {
    name: "max hold: none for renewals",
    file: "src/sql/parts/grant.sql",
    edits: [["max_hold_until = x.moment + p_max_hold_ms * interval '1 millisecond',", "max_hold_until = null,"]],
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
    [
      "else leasehold_internal._session_after_renewal(k.session_id, k.takeover_ms, p_session, p_former)",
      "else k.session_id",
    ],
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
  renew("what others have is told of all", [["         where l.is_renewed is not true\n", ""]]),
  renew("not durable", [["  perform leasehold_internal._commit_durably();\n", ""]]),
  {
    name: "renew_busy: whatever it finds is renewed",
    file: "src/sql/leases/renew_busy.sql",
    edits: [["coalesce(r.others::json #>> '{0,1}', 'renewed')", "'renewed'"]],
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
  release(
    "does not say who is next (one key)",
    [["      others := '[[1,\"released\",null,' || next_session || ']]';\n", "      null;\n"]],
    looks,
  ),
  release("does not say who is next (what is left)", [[" or f.next is not null", ""]], looks),
  release("does not look whether anybody waits (several keys)", [
    [plainSeveral, plainSeveral.replace("not l.queued and ", "")],
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
  free("wakes nobody (what is left)", [
    ["      next := leasehold_internal._session_of_next_waiter(freed.key, p_tokens[item]);\n", "      next := null;\n"],
  ]),
  {
    name: "wake: the session that asks is notified, too",
    file: "src/sql/queue/notify_next.sql",
    edits: [["if next_session = p_session then", "if false then"]],
    tests: firstAttempt,
  },
  {
    name: "wake: nobody is notified",
    file: "src/sql/queue/_wake.sql",
    edits: [["    perform pg_notify('leasehold_' || session, '');\n", "    null;\n"]],
    tests: firstAttempt,
  },
  {
    name: "wake: waits for whoever cannot commit a notification",
    file: "src/sql/queue/notify_next.sql",
    edits: [["set_config('lock_timeout', '100', true)", "set_config('lock_timeout', '0', true)"]],
    tests: ["test/waiting/notify-lock.test.ts"],
  },
  {
    name: "wake: a waiter's look goes through the old versions of a held row",
    file: "src/sql/leases/acquire_one.sql",
    edits: [
      [
        "     where l.ctid = (select n.ctid from leasehold.leases n where n.key >= p_key and n.key <= p_key order by n.key desc limit 1)\n",
        "     where l.key >= p_key and l.key <= p_key\n",
      ],
      [
        "       for update skip locked;\n    is_locked := found;\n    lease := locked.lease;",
        "     order by l.key desc\n     limit 1\n       for update skip locked;\n    is_locked := found;\n    lease := locked.lease;",
      ],
    ],
    tests: ["test/limits/long-transaction.test.ts"],
  },
  wake("its own entry in the queue stays", [["d.token >= leaving and d.token <= leaving", "d.token is null"]]),
  wake("its own entry is next", [[" and w.token is distinct from leaving\n", "\n"]]),
  wake("an expired entry is next", [[" and w.alive_until > clock_timestamp()", ""]], looks),
  {
    name: "grant: asked for again, its own entry in the queue stays",
    file: "src/sql/leases/acquire_one.sql",
    edits: [["      perform leasehold_internal._remove_entry(p_key, p_token);\n", "      null;\n"]],
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
