// Faults in who is granted a key.
//
// Not here, because they change nothing that could be seen:
// - the second of the two looks at `not_after` for one key, under the lock (nothing between them waits). Without both, the key is
//   granted too late;
// - the lock of whoever was woken left out (`p_ticket is not null`): the look of all others follows, at twice the cost.
import type { Mutant } from "./mutant.js";

const look = "src/sql/leases/acquire_one.sql";
const acquireFirst = "src/sql/leases/acquire_first.sql";
const grantPart = "src/sql/parts/grant.sql";
const alivePart = "src/sql/parts/session_is_alive.sql";

/** The lock of each way to a grant. */
const locks = [
  {
    way: "look",
    file: look,
    lock: "           for update skip locked;\n        is_locked := found;\n        if not",
    tests: ["test/fencing/exclusion.test.ts"],
  },
  {
    way: "look that has waited",
    file: look,
    lock: "             for update skip locked;\n          is_locked := found;\n        end if;",
    tests: ["test/exclusion/first-attempt.test.ts", "test/waiting/looks.test.ts"],
  },
  {
    way: "look of whoever was woken",
    file: look,
    lock: "       for update skip locked;\n    is_locked := found;\n    lease",
    tests: ["test/waiting/looks.test.ts"],
  },
  {
    way: "first attempt, one key",
    file: acquireFirst,
    lock: "         for update skip locked\n    )\n    update",
    tests: ["test/exclusion/first-attempt.test.ts"],
  },
  {
    way: "first attempts, several keys",
    file: acquireFirst,
    lock: "           for update skip locked) l on l.key = w.key",
    tests: ["test/exclusion/first-attempt.test.ts"],
  },
];
const lateLook =
  "if leasehold_internal._ms(clock_timestamp()) >= p_not_after then\n    outcome := 'late';\n  elsif lease.key is null";
/** A look without the lock, and with it. */
const hint =
  "if is_locked or leasehold_internal._is_next(lease, p_token) and leasehold_internal._may_be_grantable(lease) then";
/** The decision: nobody is ahead, and the key is free. */
const next = "elsif leasehold_internal._is_next(lease, p_token) then\n        if :last_was_shared";
const anybody = "elsif true then\n        if :last_was_shared";
const free = "if leasehold_internal._is_grantable(lease) then\n          outcome := 'granted';";
const always = "outcome := 'granted';\n        if false then";
/** The lock of whoever was woken. */
const head = `       and coalesce(
         (select w.token
            from leasehold.waiters w
           where w.key = p_key and w.alive_until > clock_timestamp()
           order by w.ticket
           limit 1) = p_token, true)
`;
const drawn = ["test/fences/drawn.test.ts"];
const decided = ["test/exclusion/decided.test.ts"];
const looks = ["test/waiting/looks.test.ts"];

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
  // What a grant writes is larger than the last fence, whatever was drawn: without that, too.
  ...[
    {
      way: "look",
      file: look,
      variable: "  lapsed leasehold.shares;\nbegin\n",
      use: "select p_token as token, clock_timestamp() as moment, :fence as drawn,",
    },
    {
      way: "first attempt, one key",
      file: acquireFirst,
      variable: "  durability text;\nbegin\n",
      use: "select k.version, p_tokens[1] as token, clock_timestamp() as moment, :fence as drawn,",
    },
    {
      way: "first attempts, several keys",
      file: acquireFirst,
      variable: "  durability text;\nbegin\n",
      use: "select c.moment, :fence as drawn",
    },
  ].map(
    ({ way, file, variable, use }): Mutant => ({
      name: `grant: fence drawn before the lock (${way})`,
      file,
      edits: [
        [variable, variable.replace("begin", "  early bigint := leasehold_internal._fence();\nbegin")],
        [use, use.replace(":fence", "early")],
        ["greatest(l.fence + 1, x.drawn)", "x.drawn", grantPart],
      ],
      tests: drawn,
    }),
  ),
  {
    name: "grant: fence drawn before the lock of a new key (look)",
    file: look,
    edits: [
      [
        "  lapsed leasehold.shares;\nbegin\n",
        "  lapsed leasehold.shares;\n  early bigint := leasehold_internal._fence();\nbegin\n",
      ],
      [
        "lease.fence := won.fences::bigint;",
        "update leasehold.leases l set fence = early where l.key = p_key;\n        lease.fence := early;",
      ],
    ],
    tests: drawn,
  },
  {
    name: "grant: fence drawn before the lock of a new key (first attempts)",
    file: acquireFirst,
    edits: [
      ["  durability text;\nbegin\n", "  durability text;\n  early bigint := leasehold_internal._fence();\nbegin\n"],
      ["select n.item, n.fence, g.moment, g.until", "select n.item, early::text, g.moment, g.until"],
    ],
    tests: drawn,
  },
  ...[
    { way: "look", file: look, read: "select p_token as token, clock_timestamp() as moment" },
    {
      way: "first attempt, one key",
      file: acquireFirst,
      read: "select k.version, p_tokens[1] as token, clock_timestamp() as moment",
    },
    {
      way: "first attempts, several keys",
      file: acquireFirst,
      read: "select count(*) as size, clock_timestamp() as moment from locked",
    },
  ].map(
    ({ way, file, read }): Mutant => ({
      name: `grant: the clock read before the lock (${way})`,
      file,
      edits: [[read, read.replace("clock_timestamp", "statement_timestamp")]],
      tests: drawn,
    }),
  ),
  {
    name: "grant: the clock read before the lock of a new key",
    file: "src/sql/leases/_insert_grant.sql",
    edits: [["moment := clock_timestamp();", "moment := statement_timestamp();"]],
    tests: drawn,
  },
  {
    name: "grant: the fence stays what it was",
    file: grantPart,
    edits: [["fence = greatest(l.fence + 1, x.drawn),\n", ""]],
    tests: ["test/exclusion/first-attempt.test.ts", "test/fences/rising.test.ts"],
  },
  {
    name: "grant: a late acquire is granted a new key (look)",
    file: look,
    edits: [[lateLook, "if lease.key is null"]],
    tests: ["test/waiting/late.test.ts"],
  },
  {
    name: "grant: a late acquire is granted (look)",
    file: look,
    edits: [
      [lateLook, "if lease.key is null"],
      [
        "elsif leasehold_internal._ms(clock_timestamp()) >= p_not_after then\n        outcome := 'late';\n      elsif",
        "elsif",
      ],
    ],
    tests: ["test/waiting/late.test.ts"],
  },
  {
    name: "grant: goes through the old versions of the row",
    file: look,
    edits: [
      ["select l.* into lease :newest_lease;", "select l.* into lease from leasehold.leases l where l.key = p_key;"],
    ],
    tests: ["test/limits/long-transaction.test.ts"],
  },
  {
    name: "grant: decided before the lock",
    file: look,
    edits: [
      [next, anybody],
      [free, always],
    ],
    tests: decided,
  },
  {
    name: "grant: decided before the lock that it is free",
    file: look,
    edits: [[free, always]],
    tests: decided,
  },
  {
    name: "grant: decided before the lock that nobody is ahead",
    file: look,
    edits: [[next, anybody]],
    tests: decided,
  },
  {
    name: "grant: past the queue, without asking who is next (woken)",
    file: look,
    edits: [
      [head, ""],
      [next, anybody],
    ],
    tests: looks,
  },
  {
    name: "look: whoever was woken locks the row although another is next",
    file: look,
    edits: [[head, ""]],
    tests: looks,
  },
  {
    name: "look: whoever was woken locks a row that is not free",
    file: look,
    edits: [
      [
        "       and l.token is null and (l.hold_until is null or l.hold_until <= clock_timestamp())\n       and coalesce",
        "       and coalesce",
      ],
    ],
    tests: looks,
  },
  {
    name: "look: locks the row although another is next",
    file: look,
    edits: [[hint, "if is_locked or leasehold_internal._may_be_grantable(lease) then"]],
    tests: looks,
  },
  {
    name: "look: locks the row although it is not free",
    file: look,
    edits: [[hint, "if is_locked or leasehold_internal._is_next(lease, p_token) then"]],
    tests: looks,
  },
  {
    name: "look: whoever is next does not wait for a row that is locked for a moment",
    file: look,
    edits: [["if not is_locked and p_is_alone then", "if false then"]],
    tests: looks,
  },
  {
    name: "look: whoever joins does not wait for a row that is locked for a moment",
    file: look,
    edits: [["if not found and p_is_alone then", "if false then"]],
    tests: looks,
  },
  {
    name: "look: whoever is next does not wait for a guard that is about to end",
    file: "src/sql/leases/_wait_for_lease.sql",
    edits: [["  if for_grant then\n", "  if false then\n"]],
    tests: looks,
  },
  {
    name: "look: waits for a locked row for as long as its statement may",
    file: "src/sql/leases/_wait_for_lease.sql",
    edits: [["set lock_timeout = '5ms'\n", ""]],
    tests: looks,
  },
  {
    name: "look: a row that stays locked fails the statement",
    file: "src/sql/leases/_wait_for_lease.sql",
    edits: [["exception when lock_not_available or deadlock_detected then", "exception when division_by_zero then"]],
    tests: looks,
  },
  {
    name: "look: each of several waits for a locked row",
    file: "src/sql/leases/acquire.sql",
    edits: [["             p_former, false) a;", "             p_former) a;"]],
    tests: looks,
  },
  {
    name: "look: a guard keeps others from joining",
    file: look,
    edits: [
      [
        "           for no key update skip locked;\n        if not found",
        "           for update skip locked;\n        if not found",
      ],
      [
        "             for no key update skip locked;\n        end if;",
        "             for update skip locked;\n        end if;",
      ],
    ],
    tests: looks,
  },
  {
    name: "look: whoever has an entry enters the queue again each time",
    file: look,
    edits: [
      [
        "if p_waits and outcome in ('held', 'busy') then\n      if p_ticket is not null then",
        "if p_waits and outcome in ('held', 'busy') then\n      if false then",
      ],
    ],
    tests: looks,
  },
  {
    name: "look: a grant is not durable",
    file: look,
    edits: [
      [
        "  elsif :is_commit_relaxed then\n    perform leasehold_internal._commit_durably();\n  end if;\nend",
        "  end if;\nend",
      ],
    ],
    tests: looks,
  },
  {
    name: "look: one that is not granted waits for the disk",
    file: look,
    edits: [["\n    ignored := set_config('synchronous_commit', 'off', true);\n", "\n    null;\n"]],
    tests: looks,
  },
  {
    name: "looks: the last one decides whether a grant is durable",
    file: "src/sql/leases/acquire.sql",
    edits: [["  if has_grant then\n", "  if false then\n"]],
    tests: ["test/exclusion/first-attempt.test.ts"],
  },
  {
    name: "looks: the last one lowers the durability of a grant",
    file: "src/sql/leases/acquire.sql",
    edits: [["    perform set_config('synchronous_commit', durability, true);\n", "    null;\n"]],
    tests: ["test/exclusion/first-attempt.test.ts"],
  },
  {
    name: "is_alive: the own connection's session is not",
    file: alivePart,
    edits: [
      [
        "(:presence_class, p_session)\n                or leasehold_internal._holds_presence(p_session)))",
        "(:presence_class, p_session)))",
      ],
    ],
    tests: ["test/sql-api/attach.test.ts"],
  },
  {
    name: "is_alive: the presence lock is not asked",
    file: alivePart,
    edits: [["(not pg_try_advisory_xact_lock_shared(:presence_class, p_session)", "(true"]],
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
    file: look,
    edits: [["  if not :session_is_alive then\n", "  if false then\n"]],
    tests: ["test/presence/unproven.test.ts"],
  },
  {
    name: "renew: by a session that is not alive",
    file: "src/sql/leases/renew.sql",
    edits: [["if not :session_is_alive then\n    others :=", "if false then\n    others :="]],
    tests: ["test/presence/unproven.test.ts"],
  },
  {
    name: "is_alive: any nonce will do",
    file: alivePart,
    edits: [["where s.id = p_session and s.nonce = p_nonce)", "where s.id = p_session)"]],
    tests: ["test/presence/unproven.test.ts"],
  },
  {
    name: "is_dead: a server that was away counts as silence",
    file: "src/sql/sessions/_is_dead.sql",
    edits: [["greatest(s.seen_at, pg_postmaster_start_time())", "s.seen_at"]],
    tests: ["test/presence/postgres-crash.test.ts"],
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
    file: "src/sql/leases/_blocker.sql",
    edits: [["where k.locktype = 'advisory' and", "where false and"]],
    tests: ["test/exclusion/first-grant.test.ts"],
  },
  {
    name: "grant: a lease that was taken away is granted to its token again",
    file: look,
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
    file: look,
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
    file: "src/sql/leases/_session_after_renewal.sql",
    edits: [["if session = p_session or session = any (p_former) then", "if true then"]],
    tests: ["test/presence/hands.test.ts"],
  },
  {
    name: "renew: a process that is cut off loses its presence to whoever renews",
    file: "src/sql/leases/_session_after_renewal.sql",
    edits: [
      [
        "from leasehold.sessions s where s.id = session and s.version = 'sql')",
        "from leasehold.sessions s where s.id = session)",
      ],
    ],
    tests: ["test/sql-api/attach.test.ts"],
  },
  {
    name: "queue: any ticket is believed",
    file: look,
    edits: [
      [
        "when p_ticket is not null and p_proof = leasehold_internal._ticket_proof(secret, p_key, p_token, p_ticket)\n",
        "when p_ticket is not null\n",
      ],
    ],
    tests: ["test/waiting/tickets.test.ts"],
  },
  {
    // Together: a connection keeps the plans that it made under either.
    name: "queue: its head is found by a bitmap scan and a sort",
    file: "src/sql/leases/acquire.sql",
    edits: [
      ["set enable_bitmapscan = off\nset enable_sort = off\n", ""],
      ["set enable_bitmapscan = off\nset enable_sort = off\n", "", acquireFirst],
      ["set enable_bitmapscan = off\nset enable_sort = off\n", "", look],
    ],
    tests: ["test/waiting/long-queue.test.ts", "test/limits/index-use.test.ts"],
  },
  {
    name: "queue: whoever leaves it reads all of it",
    file: "src/sql/queue/_leave_queue.sql",
    edits: [
      ["        order by d.ticket\n        limit 1000\n", ""],
      ["d.ticket < coalesce(own, 9223372036854775807) and ", ""],
    ],
    tests: ["test/waiting/long-queue.test.ts"],
  },
  {
    name: "queue: whoever is granted stays in it",
    file: "src/sql/queue/_leave_queue.sql",
    edits: [["d.ticket >= own and d.ticket <= own", "d.ticket < own and d.ticket > own"]],
    tests: ["test/exclusion/first-attempt.test.ts"],
  },
  {
    name: "queue: expired entries stay ahead of a grant",
    file: "src/sql/queue/_leave_queue.sql",
    edits: [["d.alive_until <= clock_timestamp()", "d.alive_until is null"]],
    tests: ["test/waiting/dead-waiters.test.ts", "test/waiting/long-queue.test.ts"],
  },
  {
    name: "queue: entries of those behind another waiter of their process expire",
    file: "src/acquire/local-queues.ts",
    edits: [["          waits.push(wait);\n", ""]],
    tests: ["test/waiting/long-queue.test.ts"],
  },
];
