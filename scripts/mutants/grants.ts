// Faults in who is granted a key.
//
// Not here, because they change nothing that could be seen: the second of the two looks at `not_after` for one key, under the
// lock (nothing between them waits). Without both, the key is granted too late.
import type { Mutant } from "./mutant.js";

const file = "migrations/0001_protocol.sql";
const grant = `order by l.key desc
           limit 1
             for update skip locked;
          is_locked := found;`;
const batch = "for update skip locked) l on l.key = w.key";
const exclusion = ["test/fencing/exclusion.test.ts"];

export const grants: readonly Mutant[] = [
  {
    name: "grant: goes through the old versions of the row",
    file,
    edits: [["l.key >= asked.key and l.key <= asked.key order by l.key desc limit 1;", "l.key = asked.key;"]],
    tests: ["test/limits/long-transaction.test.ts"],
  },
  {
    name: "grant: passes a guard (one key)",
    file,
    edits: [[grant, grant.replace("for update", "for no key update")]],
    tests: exclusion,
  },
  {
    name: "grant: passes a guard (batch)",
    file,
    edits: [[batch, batch.replace("for update", "for no key update")]],
    tests: exclusion,
  },
  {
    name: "grant: no lock (one key)",
    file,
    edits: [[grant, grant.replace("for update skip locked", "")]],
    tests: ["test/exclusion/contention.test.ts"],
  },
  {
    name: "grant: no lock (batch)",
    file,
    edits: [[batch, batch.replace("for update skip locked", "")]],
    tests: exclusion,
  },
  {
    name: "grant: waits for a locked row (one key)",
    file,
    edits: [[grant, grant.replace(" skip locked", "")]],
    tests: ["test/fencing/exclusion.test.ts", "test/exclusion/strangers.test.ts"],
  },
  {
    name: "grant: waits for a locked row (batch)",
    file,
    edits: [[batch, batch.replace(" skip locked", "")]],
    tests: ["test/fencing/exclusion.test.ts", "test/exclusion/strangers.test.ts"],
  },
  {
    name: "grant: decided before the lock",
    file,
    edits: [
      [
        "elsif leasehold_internal._is_next(lease, asked.token) and leasehold_internal._is_grantable(lease) then",
        "elsif true then",
      ],
    ],
    tests: ["test/exclusion/decided.test.ts"],
  },
  {
    name: "grant: fence drawn before the lock (one key)",
    file,
    edits: [
      [
        "  has_grant boolean := false;\n",
        "  has_grant boolean := false;\n  drawn bigint := leasehold_internal._fence();\n",
      ],
      [
        "set token = asked.token,\n                   fence = greatest(l.fence + 1, leasehold_internal._fence()),",
        "set token = asked.token,\n                   fence = drawn,",
      ],
    ],
    tests: ["test/fences/drawn.test.ts"],
  },
  {
    name: "grant: fence drawn before the lock (batch)",
    file,
    edits: [
      [
        "  has_grant boolean := false;\n",
        "  has_grant boolean := false;\n  drawn bigint := leasehold_internal._fence();\n",
      ],
      [
        "set token = x.token,\n               fence = greatest(l.fence + 1, leasehold_internal._fence()),",
        "set token = x.token,\n               fence = drawn,",
      ],
    ],
    tests: ["test/fences/drawn.test.ts"],
  },
  {
    name: "grant: the clock read before the lock (one key)",
    file,
    edits: [
      [
        "at := clock_timestamp();\n            update leasehold.leases l",
        "at := statement_timestamp();\n            update leasehold.leases l",
      ],
    ],
    tests: ["test/fences/drawn.test.ts"],
  },
  {
    name: "grant: a batch is joined, as the statistics say",
    file,
    edits: [
      [
        "          join lateral (\n            select k.key, k.ctid as version from leasehold.leases k\n             where k.key >= w.key and k.key <= w.key\n               and k.token is null",
        "          join lateral (\n            select k.key, k.ctid as version from leasehold.leases k\n             where k.token is null",
      ],
      [`order by k.key desc\n             limit 1\n               ${batch}`, batch],
    ],
    tests: ["test/limits/batches.test.ts"],
  },
  {
    name: "grant: the clock read before the lock (batch)",
    file,
    edits: [
      [
        "from (select k.*, clock_timestamp() as at from locked k) x\n         where l.ctid",
        "from (select k.*, statement_timestamp() as at from locked k) x\n         where l.ctid",
      ],
    ],
    tests: ["test/fences/drawn.test.ts"],
  },
  {
    name: "is_alive: the own connection's session is not",
    file,
    edits: [["(1279480140, session)\n      or leasehold_internal._holds_presence(session);", "(1279480140, session);"]],
    tests: ["test/sql-api/attach.test.ts"],
  },
  {
    name: "is_alive: the presence lock is not asked",
    file,
    edits: [["return not pg_try_advisory_xact_lock_shared(1279480140, session)", "return true"]],
    tests: ["test/presence/unproven.test.ts"],
  },
  {
    name: "grant: the fence stays what it was",
    file,
    edits: [
      [
        "set token = asked.token,\n                   fence = greatest(l.fence + 1, leasehold_internal._fence()),",
        "set token = asked.token,",
      ],
    ],
    tests: ["test/fences/rising.test.ts"],
  },
  {
    name: "grant: a held lease counts as free",
    file,
    edits: [
      [
        "return lease.expires_at <= clock_timestamp() or leasehold_internal._is_dead(lease.session_id, lease.takeover_ms);",
        "return true;",
      ],
    ],
    tests: ["test/exclusion/contention.test.ts"],
  },
  {
    name: "grant: a late acquire is granted a new key",
    file,
    edits: [
      [
        "if leasehold_internal._ms(clock_timestamp()) >= asked.not_after then\n        outcome := 'late';\n      elsif lease.key is null",
        "if lease.key is null",
      ],
    ],
    tests: ["test/waiting/late.test.ts"],
  },
  {
    name: "grant: a late acquire is granted (one key)",
    file,
    edits: [
      [
        "if leasehold_internal._ms(clock_timestamp()) >= asked.not_after then\n        outcome := 'late';\n      elsif lease.key is null",
        "if lease.key is null",
      ],
      [
        "elsif leasehold_internal._ms(clock_timestamp()) >= asked.not_after then\n            outcome := 'late';\n          elsif",
        "elsif",
      ],
    ],
    tests: ["test/waiting/late.test.ts"],
  },
  {
    name: "grant: a late acquire is granted (batch)",
    file,
    edits: [["where l.ctid = x.version and leasehold_internal._ms(x.at) < x.not_after", "where l.ctid = x.version"]],
    tests: ["test/waiting/late.test.ts"],
  },
  {
    name: "grant: a late acquire is granted new keys (batch)",
    file,
    edits: [["         where leasehold_internal._ms(x.at) < x.not_after\n        on conflict", "        on conflict"]],
    tests: ["test/waiting/late.test.ts"],
  },
  {
    name: "grant: to a session that is not alive",
    file,
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
    file,
    edits: [
      [
        "if p_session is not null and not leasehold_internal._is_alive(p_session, p_nonce) then\n    return query\n      select i, 'unproven', null::float8",
        "if false then\n    return query\n      select i, 'unproven', null::float8",
      ],
    ],
    tests: ["test/presence/unproven.test.ts"],
  },
  {
    name: "is_alive: any nonce will do",
    file,
    edits: [["where s.id = session and s.nonce = session_nonce)", "where s.id = session)"]],
    tests: ["test/presence/unproven.test.ts"],
  },
  {
    name: "is_dead: the heartbeat read before the presence lock",
    file,
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
    file,
    edits: [
      [
        "if not pg_try_advisory_xact_lock_shared(1279480140, session) then\n    return false;",
        "if false then\n    return false;",
      ],
    ],
    tests: ["test/presence/crash.test.ts"],
  },
  {
    name: "is_dead: the heartbeat is not asked",
    file,
    edits: [["if takeover = 0 then\n    return true;", "if true then\n    return true;"]],
    tests: ["test/presence/reconnect.test.ts", "test/presence/takeover-delay.test.ts"],
  },
  {
    name: "grant: another key's hash holds it up (32 bits)",
    file,
    edits: [['return hashtextextended(key collate "C", 1279480141);', "return hashtext(key);"]],
    tests: ["test/exclusion/first-grant.test.ts"],
  },
  {
    name: "grant: who keeps a first grant uncommitted is not told",
    file,
    edits: [["from unnest(missing) m (key)", "from unnest(missing[:0]) m (key)"]],
    tests: ["test/exclusion/first-grant.test.ts"],
  },
  {
    name: "grant: a lease that was taken away is granted to its token again",
    file,
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
    file,
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
    file,
    edits: [["if lease.session_id = p_session or lease.session_id = any (p_former) then", "if true then"]],
    tests: ["test/presence/hands.test.ts"],
  },
  {
    name: "renew: a process that is cut off loses its presence to whoever renews",
    file,
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
    file,
    edits: [
      [
        "when asked.proof = leasehold_internal._proof(secret, asked.key, asked.token, asked.ticket)\n",
        "when asked.ticket is not null\n",
      ],
    ],
    tests: ["test/waiting/tickets.test.ts"],
  },
  {
    name: "line: its head is found by a bitmap scan and a sort",
    file,
    edits: [
      [
        "set enable_bitmapscan = off\nset enable_sort = off\nset jit = off\nset lock_timeout = '100ms'",
        "set jit = off\nset lock_timeout = '100ms'",
      ],
    ],
    tests: ["test/waiting/long-line.test.ts"],
  },
  {
    name: "line: whoever leaves it reads all of it",
    file,
    edits: [
      ["      order by d.ticket\n      limit 1000\n", ""],
      ["d.ticket < coalesce(place, 9223372036854775807) and ", ""],
    ],
    tests: ["test/waiting/long-line.test.ts"],
  },
  {
    name: "line: places of those who stand behind another lapse",
    file: "src/waiting.ts",
    edits: [["          waits.push(wait);\n", ""]],
    tests: ["test/waiting/long-line.test.ts"],
  },
];
