// Faults in acquire_first: what it decides beside the locks of its rows, which are in grants.ts.
//
// Not here, because they change nothing that could be seen:
// - one key in two first attempts that is inserted twice: the second insert does nothing.
import type { Mutant } from "./mutant.js";

const file = "src/sql/leases/acquire_first.sql";
const tests = ["test/exclusion/first-attempt.test.ts"];
const indexUse = ["test/limits/index-use.test.ts"];
const alive = ":session_is_alive";

/** The same rule has a form for one key, and one for several. */
const forms = [
  {
    form: "one key",
    shortcut: "where l.token <> p_tokens[1] and l.expires_at > clock_timestamp()\n",
    own: ["l.token <> p_tokens[1]", "l.token is not null"],
    dead: "         and (l.session_id is null or not pg_try_advisory_xact_lock_shared(:presence_class, l.session_id))\n",
    free: `and k.token is null and not k.queued and (k.hold_until is null or k.hold_until <= clock_timestamp())\n         and ${alive}`,
  },
  {
    form: "several keys",
    shortcut: "l.token <> w.token and l.expires_at > clock_timestamp()",
    own: ["l.token <> w.token", "l.token is not null"],
    dead: "\n               and (l.session_id is null or not pg_try_advisory_xact_lock_shared(:presence_class, l.session_id)))\n       and :session",
    free: "and k.token is null and not k.queued and (k.hold_until is null or k.hold_until <= clock_timestamp())\n         order by",
  },
] as const;

export const firstAttempts: readonly Mutant[] = [
  ...forms.flatMap(({ form, shortcut, own, dead, free }): Mutant[] => [
    {
      name: `first attempt: an expired lease counts as held (${form})`,
      file,
      edits: [[shortcut, shortcut.replace(" and l.expires_at > clock_timestamp()", "")]],
      tests,
    },
    {
      name: `first attempt: what its own token has counts as held (${form})`,
      file,
      edits: [[shortcut, shortcut.replace(own[0], own[1])]],
      tests,
    },
    {
      name: `first attempt: a dead holder holds (${form})`,
      file,
      edits: [[dead, form === "one key" ? "" : ")\n       and :session"]],
      tests,
    },
    {
      name: `first attempt: granted past the queue (${form})`,
      file,
      edits: [[free, free.replace(" and not k.queued", "")]],
      tests,
    },
    {
      name: `first attempt: granted before a minimum hold has ended (${form})`,
      file,
      edits: [[free, free.replace(" and (k.hold_until is null or k.hold_until <= clock_timestamp())", "")]],
      tests,
    },
  ]),
  {
    name: "first attempt: a held key is granted (one key)",
    file,
    edits: [
      [
        "and k.token is null and not k.queued and (k.hold_until is null or k.hold_until <= clock_timestamp())\n         and :session",
        "and :session",
      ],
    ],
    tests,
  },
  {
    name: "first attempt: a held key is granted (several keys)",
    file,
    edits: [
      [
        "and k.token is null and not k.queued and (k.hold_until is null or k.hold_until <= clock_timestamp())\n         order by",
        "order by",
      ],
    ],
    tests,
  },
  {
    name: "first attempt: a session that is not alive is told who holds (one key)",
    file,
    edits: [[`\n         and ${alive};\n      if found`, ";\n      if found"]],
    tests,
  },
  {
    name: "first attempt: granted to a session that is not alive (one key)",
    file,
    edits: [[`\n         and ${alive}\n         for update`, "\n         for update"]],
    tests,
  },
  {
    name: "first attempt: granted to a session that is not alive (several keys)",
    file,
    edits: [[`\n     where ${alive}\n  ),`, "\n  ),"]],
    tests,
  },
  {
    name: "first attempt: a new key is granted to a session that is not alive",
    file,
    edits: [[`\n       and ${alive};\n\n    if missing`, ";\n\n    if missing"]],
    tests,
  },
  {
    name: "first attempt: a late one is told who holds (one key)",
    file,
    edits: [
      [
        " and leasehold_internal._ms(clock_timestamp()) < p_not_after\n         and (l.session_id",
        "\n         and (l.session_id",
      ],
    ],
    tests,
  },
  {
    name: "first attempt: a late one is told who holds (several keys)",
    file,
    edits: [
      ["  if leasehold_internal._ms(clock_timestamp()) < p_not_after then\n    -- What", "  if true then\n    -- What"],
    ],
    tests,
  },
  {
    name: "first attempt: a late one is granted (one key)",
    file,
    edits: [[" and leasehold_internal._ms(x.moment) < p_not_after\n", "\n"]],
    tests,
  },
  {
    name: "first attempt: a late one is granted (several keys)",
    file,
    edits: [[" and leasehold_internal._ms(c.moment) < p_not_after\n", "\n"]],
    tests,
  },
  {
    name: "first attempt: a late one is granted a new key",
    file,
    edits: [
      ["  if leasehold_internal._ms(clock_timestamp()) < p_not_after then\n    -- What", "  if true then\n    -- What"],
      [
        "if new_keys is not null and leasehold_internal._ms(clock_timestamp()) < p_not_after then",
        "if new_keys is not null then",
      ],
    ],
    tests,
  },
  {
    name: "first attempt: an insert that somebody has not committed is waited for",
    file,
    edits: [["m.number > 100 or pg_try_advisory_xact_lock(leasehold_internal._key_lock(m.key))", "true"]],
    tests,
  },
  {
    name: "look: an insert that somebody has not committed is waited for",
    file: "src/sql/leases/acquire_one.sql",
    edits: [
      [
        "if not p_careful and pg_try_advisory_xact_lock(leasehold_internal._key_lock(p_key)) then",
        "if not p_careful then",
      ],
    ],
    tests: ["test/exclusion/first-grant.test.ts"],
  },
  {
    name: "first attempt: an advisory lock for each of 1,000 new keys",
    file,
    edits: [["m.number > 100 or ", ""]],
    tests,
  },
  {
    name: "first attempt: each answer has the fence of another",
    file,
    edits: [["string_agg(a.fence, ',' order by a.item)", "string_agg(a.fence, ',' order by a.item desc)"]],
    tests,
  },
  {
    name: "first attempt: what is not granted has no field among the fences",
    file,
    edits: [["string_agg(coalesce(g.fence, ''), ',' order by w.item)", "string_agg(g.fence, ',' order by w.item)"]],
    tests,
  },
  {
    name: "grant: each row is answered with the fence of another",
    file,
    edits: [["string_agg(g.fence::text, ',' order by g.item)", "string_agg(g.fence::text, ',' order by g.item desc)"]],
    tests,
  },
  ...[
    { grants: "one key", durably: "if found then\n      if :is_commit_relaxed then" },
    {
      grants: "several keys",
      durably: "if cardinality(items) = cardinality(p_keys) then\n    if :is_commit_relaxed then",
    },
    { grants: "some of several keys", durably: "if items is not null and :is_commit_relaxed then" },
  ].map(
    ({ grants, durably }): Mutant => ({
      name: `first attempt: a grant is not durable (${grants})`,
      file,
      edits: [[durably, durably.replace(":is_commit_relaxed", "false")]],
      tests,
    }),
  ),
  {
    name: "first attempt: who queues with it lowers the durability of a grant",
    file,
    edits: [["        perform set_config('synchronous_commit', durability, true);\n", "        null;\n"]],
    tests,
  },
  {
    name: "grant: an insert that stood still for long goes on",
    file: "src/sql/leases/_insert_grant.sql",
    edits: [["  perform leasehold_internal._refuse_stale_insert(moment);\n", ""]],
    tests,
  },
  {
    name: "grant: what was forced away before stays revoked",
    file: "src/sql/parts/grant.sql",
    edits: [["revoked_at = null,\n", ""]],
    tests,
  },
  {
    name: "grant: those who wait are forgotten",
    file: "src/sql/leases/acquire_one.sql",
    edits: [
      ["lease.queued and exists (select from leasehold.waiters w where w.key = p_key) as queued", "false as queued"],
    ],
    tests,
  },
  {
    name: "grant: a batch is joined, as the statistics say",
    file,
    edits: [
      ["where k.key >= w.key and k.key <= w.key\n           and k.token is null", "where k.token is null"],
      [
        "         order by k.key desc\n         limit 1\n           for update skip locked",
        "           for update skip locked",
      ],
    ],
    tests: indexUse,
  },
  {
    name: "renew: a batch is joined, as the statistics say",
    file: "src/sql/leases/renew.sql",
    edits: [
      [
        "where k.key >= w.key and k.key <= w.key and k.token = w.token and k.fence = w.fence\n         order by k.key desc\n         limit 1\n",
        "where k.token is not null\n",
      ],
      [
        ") l on l.key = w.key\n",
        ") l on l.key = w.key and exists (select from leasehold.leases o where o.key = w.key and o.token = w.token and o.fence = w.fence)\n",
      ],
    ],
    tests: indexUse,
  },
  {
    name: "first attempt: goes through the old versions of what is free",
    file,
    edits: [
      [
        "select n.ctid from leasehold.leases n where n.key >= p_keys[1] and n.key <= p_keys[1] order by n.key desc limit 1)",
        "select n.ctid from leasehold.leases n where n.key = p_keys[1])",
      ],
    ],
    tests: indexUse,
  },
  {
    name: "release: goes through the old versions of the row",
    file: "src/sql/leases/release.sql",
    edits: [
      [
        "select k.ctid from leasehold.leases k where k.key >= p_keys[1] and k.key <= p_keys[1] order by k.key desc limit 1)",
        "select k.ctid from leasehold.leases k where k.key = p_keys[1])",
      ],
    ],
    tests: indexUse,
  },
];
