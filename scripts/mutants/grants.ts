// Faults in who is granted a key.
//
// Not here, because they change nothing that could be seen: the second of the two looks at `not_after` for one key, under the
// lock (nothing between them waits). Without both, the key is granted too late.
import type { Mutant } from "./mutant.js";

/** The lock of each way to a grant. */
const locks = [
  {
    way: "loop",
    file: "src/sql/leases/acquire.sql",
    lock: "           for update skip locked;\n        is_locked := found;",
    tests: ["test/fencing/exclusion.test.ts"],
  },
  {
    way: "first attempt, one key",
    file: "src/sql/leases/acquire_first.sql",
    lock: "         for update skip locked);\n    tokens := p_tokens;",
    tests: ["test/exclusion/first-attempt.test.ts"],
  },
  {
    way: "first attempts, several keys",
    file: "src/sql/leases/acquire_first.sql",
    lock: "           for update skip locked\n      ) l on l.key = w.key",
    tests: ["test/exclusion/first-attempt.test.ts"],
  },
];
const lateLook =
  "if leasehold_internal._ms(clock_timestamp()) >= asked.not_after then\n      outcome := 'late';\n    elsif lease.key is null";
const drawn = ["test/fences/drawn.test.ts"];

export const grants: readonly Mutant[] = [
  ...locks.flatMap(({ way, file, lock, tests }): Mutant[] => [
    {
      name: `grant: passes a guard (${way})`,
      file,
      edits: [[lock, lock.replace("for update", "for no key update")]],
      tests,
    },
    { name: `grant: no lock (${way})`, file, edits: [[lock, lock.replace("for update skip locked", "")]], tests },
    { name: `grant: waits for a locked row (${way})`, file, edits: [[lock, lock.replace(" skip locked", "")]], tests },
  ]),
  {
    name: "grant: fence drawn before the lock (loop)",
    file: "src/sql/leases/acquire.sql",
    edits: [
      [
        "  has_grant boolean := false;\n",
        "  has_grant boolean := false;\n  drawn bigint := leasehold_internal._fence();\n",
      ],
      [
        "asked.metadata);\n          lease.fence := won.fences::bigint;",
        "asked.metadata);\n          update leasehold.leases l set fence = drawn where l.key = asked.key;\n          lease.fence := drawn;",
      ],
    ],
    tests: drawn,
  },
  {
    name: "grant: fence drawn before the lock of a new key (loop)",
    file: "src/sql/leases/acquire.sql",
    edits: [
      [
        "  has_grant boolean := false;\n",
        "  has_grant boolean := false;\n  drawn bigint := leasehold_internal._fence();\n",
      ],
      [
        "          outcome := 'granted';\n          lease.fence := won.fences::bigint;",
        "          outcome := 'granted';\n          update leasehold.leases l set fence = drawn where l.key = asked.key;\n          lease.fence := drawn;",
      ],
    ],
    tests: drawn,
  },
  {
    name: "grant: fence drawn before the lock (first attempts)",
    file: "src/sql/leases/acquire_first.sql",
    edits: [
      ["  durability text;\n", "  durability text;\n  drawn bigint := leasehold_internal._fence();\n"],
      [
        "p_max_hold_ms, p_metadata) g;\n    else",
        `p_max_hold_ms, p_metadata) g;
      update leasehold.leases l set fence = drawn where l.token = any (tokens);
      fences := array_to_string(array_fill(drawn, array[cardinality(items)]), ',');
    else`,
      ],
    ],
    tests: drawn,
  },
  {
    name: "grant: fence drawn before the lock of a new key (first attempts)",
    file: "src/sql/leases/acquire_first.sql",
    edits: [
      ["  durability text;\n", "  durability text;\n  drawn bigint := leasehold_internal._fence();\n"],
      ["select n.item, n.fence, g.moment, g.until", "select n.item, drawn::text, g.moment, g.until"],
    ],
    tests: drawn,
  },
  {
    name: "grant: the clock read before the lock",
    file: "src/sql/leases/_write_grant.sql",
    edits: [["moment := clock_timestamp();", "moment := statement_timestamp();"]],
    tests: drawn,
  },
  {
    name: "grant: the clock read before the lock of a new key",
    file: "src/sql/leases/_insert_grant.sql",
    edits: [["moment := clock_timestamp();", "moment := statement_timestamp();"]],
    tests: drawn,
  },
  ...[
    { rows: "one row", set: "set token = p_tokens[1],\n           fence = greatest(l.fence + 1, drawn)," },
    { rows: "several rows", set: "set token = x.token,\n           fence = greatest(l.fence + 1, drawn)," },
  ].map(
    ({ rows, set }): Mutant => ({
      name: `grant: the fence stays what it was (${rows})`,
      file: "src/sql/leases/_write_grant.sql",
      edits: [[set, set.replace("\n           fence = greatest(l.fence + 1, drawn),", "")]],
      tests: ["test/exclusion/first-attempt.test.ts", "test/fences/rising.test.ts"],
    }),
  ),
  {
    name: "grant: a late acquire is granted a new key (loop)",
    file: "src/sql/leases/acquire.sql",
    edits: [[lateLook, "if lease.key is null"]],
    tests: ["test/waiting/late.test.ts"],
  },
  {
    name: "grant: a late acquire is granted (loop)",
    file: "src/sql/leases/acquire.sql",
    edits: [
      [lateLook, "if lease.key is null"],
      [
        "elsif leasehold_internal._ms(clock_timestamp()) >= asked.not_after then\n          outcome := 'late';\n        elsif",
        "elsif",
      ],
    ],
    tests: ["test/waiting/late.test.ts"],
  },
  {
    name: "grant: goes through the old versions of the row",
    file: "src/sql/leases/acquire.sql",
    edits: [["l.key >= asked.key and l.key <= asked.key order by l.key desc limit 1;", "l.key = asked.key;"]],
    tests: ["test/limits/long-transaction.test.ts"],
  },
  {
    name: "grant: decided before the lock",
    file: "src/sql/leases/acquire.sql",
    edits: [
      [
        "elsif leasehold_internal._is_next(lease, asked.token) and leasehold_internal._is_grantable(lease) then",
        "elsif true then",
      ],
    ],
    tests: ["test/exclusion/decided.test.ts"],
  },
  {
    name: "is_alive: the own connection's session is not",
    file: "src/sql/sessions/_is_alive.sql",
    edits: [
      [
        "(:presence_class, session)\n      or leasehold_internal._holds_presence(session);",
        "(:presence_class, session);",
      ],
    ],
    tests: ["test/sql-api/attach.test.ts"],
  },
  {
    name: "is_alive: the presence lock is not asked",
    file: "src/sql/sessions/_is_alive.sql",
    edits: [["return not pg_try_advisory_xact_lock_shared(:presence_class, session)", "return true"]],
    tests: ["test/presence/unproven.test.ts"],
  },
  {
    name: "grant: a held lease counts as free",
    file: "src/sql/leases/_is_grantable.sql",
    edits: [
      [
        "return lease.expires_at <= clock_timestamp() or leasehold_internal._is_dead(lease.session_id, lease.takeover_ms);",
        "return true;",
      ],
    ],
    tests: ["test/exclusion/contention.test.ts"],
  },
  {
    name: "grant: to a session that is not alive",
    file: "src/sql/leases/acquire.sql",
    edits: [
      [
        "if p_session is not null and not leasehold_internal._is_alive(p_session, p_nonce) then\n    return query\n      select i, 'unproven', null::bigint",
        "if false then\n    return query\n      select i, 'unproven', null::bigint",
      ],
    ],
    tests: ["test/presence/unproven.test.ts"],
  },
  {
    name: "renew: by a session that is not alive",
    file: "src/sql/leases/renew.sql",
    edits: [
      [
        "if p_session is not null and not leasehold_internal._is_alive(p_session, p_nonce) then\n    rest :=",
        "if false then\n    rest :=",
      ],
    ],
    tests: ["test/presence/unproven.test.ts"],
  },
  {
    name: "is_alive: any nonce will do",
    file: "src/sql/sessions/_is_alive.sql",
    edits: [["where s.id = session and s.nonce = session_nonce)", "where s.id = session)"]],
    tests: ["test/presence/unproven.test.ts"],
  },
  {
    name: "is_dead: the heartbeat read before the presence lock",
    file: "src/sql/sessions/_is_dead.sql",
    edits: [
      [
        "create function leasehold_internal._is_dead(session integer, takeover integer) returns boolean\nlanguage plpgsql volatile\nas $$\nbegin\n",
        `create function leasehold_internal._is_dead(session integer, takeover integer) returns boolean\nlanguage plpgsql volatile\nas $$\ndeclare
  is_silent boolean := coalesce((
    select greatest(s.seen_at, pg_postmaster_start_time()) + takeover * interval '1 millisecond' < clock_timestamp()
      from leasehold.sessions s where s.id = session), false);
begin\n`,
      ],
      [
        `  return coalesce((
    select greatest(s.seen_at, pg_postmaster_start_time()) + takeover * interval '1 millisecond' < clock_timestamp()
      from leasehold.sessions s
     where s.id = session
  ), false);`,
        "  return is_silent;",
      ],
    ],
    tests: ["test/presence/confirmed-dead.test.ts"],
  },
  {
    name: "is_dead: the presence lock is not asked",
    file: "src/sql/sessions/_is_dead.sql",
    edits: [
      [
        "if not pg_try_advisory_xact_lock_shared(:presence_class, session) then\n    return false;",
        "if false then\n    return false;",
      ],
    ],
    tests: ["test/presence/crash.test.ts"],
  },
  {
    name: "is_dead: the heartbeat is not asked",
    file: "src/sql/sessions/_is_dead.sql",
    edits: [["if takeover = 0 then\n    return true;", "if true then\n    return true;"]],
    tests: ["test/presence/reconnect.test.ts", "test/presence/takeover-delay.test.ts"],
  },
  {
    name: "grant: another key's hash holds it up (32 bits)",
    file: "src/sql/leases/_key_lock.sql",
    edits: [['return hashtextextended(key collate "C", :key_seed);', "return hashtext(key);"]],
    tests: ["test/exclusion/first-grant.test.ts"],
  },
  {
    name: "grant: who keeps a first grant uncommitted is not told",
    file: "src/sql/leases/_blockers.sql",
    edits: [["from unnest(missing) m (key)", "from unnest(missing[:0]) m (key)"]],
    tests: ["test/exclusion/first-grant.test.ts"],
  },
  {
    name: "grant: a lease that was taken away is granted to its token again",
    file: "src/sql/leases/acquire.sql",
    edits: [
      [
        "lease.expires_at > clock_timestamp() and lease.revoked_at is null then",
        "lease.expires_at > clock_timestamp() then",
      ],
      ["and l.expires_at > clock_timestamp() and l.revoked_at is null\n", "and l.expires_at > clock_timestamp()\n"],
    ],
    tests: ["test/loss/force-release.test.ts"],
  },
  {
    name: "grant: asked for again, it takes the presence along",
    file: "src/sql/leases/acquire.sql",
    edits: [
      [
        "set session_id = case when l.session_id = any (p_former) then p_session else l.session_id end,",
        "set session_id = p_session,",
      ],
    ],
    tests: ["test/presence/hands.test.ts"],
  },
  {
    name: "renew: takes the presence along",
    file: "src/sql/leases/_successor.sql",
    edits: [["if lease.session_id = p_session or lease.session_id = any (p_former) then", "if true then"]],
    tests: ["test/presence/hands.test.ts"],
  },
  {
    name: "renew: a process that is cut off loses its presence to whoever renews",
    file: "src/sql/leases/_successor.sql",
    edits: [
      [
        "from leasehold.sessions s where s.id = lease.session_id and s.version = 'sql')",
        "from leasehold.sessions s where s.id = lease.session_id)",
      ],
    ],
    tests: ["test/sql-api/attach.test.ts"],
  },
  {
    name: "line: any ticket is believed",
    file: "src/sql/leases/acquire.sql",
    edits: [
      [
        "when asked.proof = leasehold_internal._proof(secret, asked.key, asked.token, asked.ticket)\n",
        "when asked.ticket is not null\n",
      ],
    ],
    tests: ["test/waiting/tickets.test.ts"],
  },
  {
    // Together: a connection keeps the plans that it made under either.
    name: "line: its head is found by a bitmap scan and a sort",
    file: "src/sql/leases/acquire.sql",
    edits: [
      ["set enable_bitmapscan = off\nset enable_sort = off\n", ""],
      ["set enable_bitmapscan = off\nset enable_sort = off\n", "", "src/sql/leases/acquire_first.sql"],
    ],
    tests: ["test/waiting/long-line.test.ts", "test/limits/index-use.test.ts"],
  },
  {
    name: "line: whoever leaves it reads all of it",
    file: "src/sql/queue/_leave_line.sql",
    edits: [
      ["      order by d.ticket\n      limit 1000\n", ""],
      ["d.ticket < coalesce(place, 9223372036854775807) and ", ""],
    ],
    tests: ["test/waiting/long-line.test.ts"],
  },
  {
    name: "line: places of those who stand behind another lapse",
    file: "src/acquire/local-queues.ts",
    edits: [["          waits.push(wait);\n", ""]],
    tests: ["test/waiting/long-line.test.ts"],
  },
];
