// Faults in who may renew and release, and for how long.
import type { Mutant } from "./mutant.js";

const file = "migrations/0001_protocol.sql";
const release =
  "where l.key >= p_keys[1] and l.key <= p_keys[1] and l.token = p_tokens[1] and (p_fences[1] is null or l.fence = p_fences[1])";
const releases =
  "where k.key >= w.key and k.key <= w.key and k.token = w.token and (w.fence is null or k.fence = w.fence)";
const renewals =
  "k.token = w.token and k.fence = w.fence\n           order by k.key desc\n           limit 1\n             for no key update skip locked";
const renewed = "where l.ctid = x.version and l.expires_at > x.at and l.revoked_at is null";
const staleToken = ["test/fences/stale-token.test.ts"];
const maxHold = ["test/loss/max-hold.test.ts"];

export const leases: readonly Mutant[] = [
  {
    name: "max hold: a renewal goes beyond it",
    file,
    edits: [
      [
        "least(x.at + x.ttl_ms * interval '1 millisecond', l.max_hold_until)",
        "x.at + x.ttl_ms * interval '1 millisecond'",
      ],
    ],
    tests: maxHold,
  },
  {
    name: "max hold: a grant goes beyond it (one key)",
    file,
    edits: [
      [
        "expires_at = at + least(asked.ttl_ms, asked.max_hold_ms) * interval '1 millisecond',\n                   hold_until",
        "expires_at = at + asked.ttl_ms * interval '1 millisecond',\n                   hold_until",
      ],
    ],
    tests: maxHold,
  },
  {
    name: "max hold: a grant of a new key goes beyond it (one key)",
    file,
    edits: [["at, at, at + least(asked.ttl_ms, asked.max_hold_ms) * interval", "at, at, at + asked.ttl_ms * interval"]],
    tests: maxHold,
  },
  {
    name: "max hold: a grant goes beyond it (batch)",
    file,
    edits: [
      [
        "expires_at = x.at + least(x.ttl_ms, x.max_hold_ms) * interval '1 millisecond',\n               hold_until",
        "expires_at = x.at + x.ttl_ms * interval '1 millisecond',\n               hold_until",
      ],
    ],
    tests: maxHold,
  },
  {
    name: "max hold: a grant of new keys goes beyond it (batch)",
    file,
    edits: [["x.at, x.at, x.at + least(x.ttl_ms, x.max_hold_ms) * interval", "x.at, x.at, x.at + x.ttl_ms * interval"]],
    tests: maxHold,
  },
  {
    name: "renew: shortens",
    file,
    edits: [["greatest(l.expires_at, least(x.at", "greatest('-infinity', least(x.at"]],
    tests: staleToken,
  },
  {
    name: "renew: no comparison of tokens",
    file,
    edits: [[renewals, renewals.replace("k.token = w.token and ", "")]],
    tests: staleToken,
  },
  {
    name: "renew: no comparison of fences",
    file,
    edits: [[renewals, renewals.replace("k.token = w.token and k.fence = w.fence", "k.token = w.token")]],
    tests: staleToken,
  },
  {
    name: "renew: an expired lease comes back",
    file,
    edits: [[renewed, renewed.replace(" and l.expires_at > x.at", "")]],
    tests: staleToken,
  },
  {
    name: "renew: a revoked lease comes back",
    file,
    edits: [[renewed, renewed.replace(" and l.revoked_at is null", "")]],
    tests: ["test/loss/force-release.test.ts"],
  },
  {
    name: "renew: waits for a locked row",
    file,
    edits: [[renewals, renewals.replace(" skip locked", "")]],
    tests: ["test/exclusion/strangers.test.ts"],
  },
  {
    name: "release: no comparison of tokens (one key)",
    file,
    edits: [[release, release.replace("l.token = p_tokens[1] and ", "")]],
    tests: staleToken,
  },
  {
    name: "release: no comparison of fences (one key)",
    file,
    edits: [[release, "where l.key >= p_keys[1] and l.key <= p_keys[1] and l.token = p_tokens[1]"]],
    tests: staleToken,
  },
  {
    name: "release: by the key alone (one key)",
    file,
    edits: [[release, "where l.key >= p_keys[1] and l.key <= p_keys[1] and l.token is not null"]],
    tests: ["test/bugs/ownership.test.ts"],
  },
  {
    name: "release: no comparison of tokens (batch)",
    file,
    edits: [[releases, releases.replace("k.token = w.token and ", "k.token is not null and ")]],
    tests: staleToken,
  },
  {
    name: "release: no comparison of fences (batch)",
    file,
    edits: [[releases, "where k.key >= w.key and k.key <= w.key and k.token = w.token"]],
    tests: staleToken,
  },
  {
    name: "release: waits for a guard",
    file,
    edits: [
      [
        `${release}\n     order by l.key desc\n     limit 1\n       for no key update skip locked;`,
        `${release}\n     order by l.key desc\n     limit 1\n       for update skip locked;`,
      ],
    ],
    tests: ["test/fencing/exclusion.test.ts"],
  },
  {
    name: "heartbeat: the presence lock is not asked",
    file,
    edits: [
      [
        "if current_setting('leasehold.session', true) = p_nonce::text and leasehold_internal._holds_presence(p_id) then",
        "if current_setting('leasehold.session', true) = p_nonce::text then",
      ],
    ],
    tests: ["test/presence/confirmed-dead.test.ts"],
  },
];
