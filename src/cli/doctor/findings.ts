import { quoteIdentifier, quoteLiteral } from "../../postgres/quote.js";
import { formatDuration } from "../duration.js";
import type { Facts } from "./facts.js";

/** One thing that was looked at. */
export interface Finding {
  readonly check: string;
  readonly level: "ok" | "warning" | "problem";
  /** What is so. */
  readonly message: string;
  /** What to do about it; null when there is nothing to do. */
  readonly advice: string | null;
}

/** What to make of the facts, in the order in which to read it. */
export function judge(facts: Facts): readonly Finding[] {
  return [
    versions(facts),
    standby(facts),
    schema(facts),
    permissions(facts),
    pooler(facts),
    ...durability(facts),
    replication(facts),
    timeouts(facts),
    connections(facts),
    ...clock(facts),
    ...transactions(facts),
    autovacuum(facts),
    logging(facts),
    fences(facts),
    deadlocks(facts),
  ].filter((finding) => finding !== null);
}

export function hasProblem(findings: readonly Finding[]): boolean {
  return findings.some(({ level }) => level === "problem");
}

const OLDEST = 140_000;
const UNTRIED = 190_000;

function versions({ client, server }: Facts): Finding {
  const message = `leasehold ${client.version}, Node ${client.node}, Postgres ${server.version}`;
  if (server.versionNumber < OLDEST)
    return problem("versions", message, "Leasehold needs Postgres 14 or newer: upgrade the server.");
  if (server.versionNumber >= UNTRIED)
    return warning(
      "versions",
      message,
      "Leasehold was tried with Postgres 14 to 18: look for a newer version of the package.",
    );
  return ok("versions", message);
}

function standby({ server }: Facts): Finding {
  return server.isStandby
    ? problem(
        "standby",
        "This server is a standby: it cannot grant a lease.",
        "Connect to the primary; an address may name several hosts, with target_session_attrs=read-write.",
      )
    : ok("standby", "This server is a primary.");
}

function schema({ schema, rights }: Facts): Finding {
  if (!rights.schemaExists)
    return problem("schema", "This database has no schema leasehold.", "Run: leasehold migrate");
  if (schema === null) return ok("schema", "The schema is there; its version cannot be asked by this role.");
  if (schema.version < schema.needed) {
    return problem(
      "schema",
      `The schema has version ${schema.version}, this client needs ${schema.needed}.`,
      "Run: leasehold migrate",
    );
  }
  if (schema.minClient > schema.own) {
    return problem(
      "schema",
      `The schema has version ${schema.version} and needs a newer client.`,
      "Update the package leasehold.",
    );
  }
  return ok("schema", `The schema has version ${schema.version}.`);
}

function permissions({ rights, server }: Facts): Finding | null {
  if (!rights.schemaExists) {
    if (rights.mayCreate) return ok("permissions", `${server.role} may create the schema.`);
    const grant = `grant create on database ${quoteIdentifier(server.database)} to ${quoteIdentifier(server.role)};`;
    return problem(
      "permissions",
      `${server.role} may not create the schema.`,
      `Migrate as a role that may, or run: ${grant}`,
    );
  }
  if (rights.mayLock)
    return ok("permissions", `${server.role} may lock${rights.mayLook ? " and read the views" : ""}.`);
  const grant = `select leasehold.grant_usage(${quoteLiteral(server.role)});`;
  return rights.mayLook
    ? warning(
        "permissions",
        `${server.role} may read the views, but not lock.`,
        `If it is to lock, run as the schema's owner: ${grant}`,
      )
    : problem(
        "permissions",
        `${server.role} may neither lock nor read the views.`,
        `Run as the schema's owner: ${grant}`,
      );
}

function pooler({ refusal, isDirect }: Facts): Finding {
  if (refusal !== null) return problem("connection", refusal.message, null);
  return isDirect
    ? ok("connection", "The connection leads to Postgres itself.")
    : ok("connection", "A pooler or proxy stands in between, which leaves each connection its server process.");
}

function durability({ settings }: Facts): readonly Finding[] {
  const findings: Finding[] = [];
  if (settings.fsync === "off") {
    findings.push(
      problem(
        "fsync",
        "fsync is off: a crash of the machine loses grants, and may destroy the database.",
        "Set fsync = on.",
      ),
    );
  }
  if (settings.full_page_writes === "off") {
    findings.push(
      problem(
        "full_page_writes",
        "full_page_writes is off: a crash of the machine may leave torn pages.",
        "Set full_page_writes = on, unless the file system itself rules torn pages out.",
      ),
    );
  }
  if (findings.length > 0) return findings;
  const isLax = settings.synchronous_commit === "off";
  return [
    ok(
      "durability",
      `Grants survive a crash of the server${isLax ? " (synchronous_commit is off; a grant raises it for itself)" : ""}.`,
    ),
  ];
}

function replication({ replication, server }: Facts): Finding | null {
  if (server.isStandby) return null;
  const { standbys, synchronousNames } = replication;
  if (synchronousNames !== "")
    return ok("replication", `Synchronous: ${synchronousNames}. A failover to such a standby loses no grant.`);
  if (standbys === 0) return ok("replication", "No standby is connected.");
  return warning(
    "replication",
    `${standbys} ${standbys === 1 ? "standby" : "standbys"}, none of them synchronous: a failover may lose the last grants, and two may then hold one key. Fences go on rising, and guarded writes stay safe.`,
    "Set synchronous_standby_names where a grant must survive a failover.",
  );
}

function timeouts({ settings, isDirect }: Facts): Finding {
  const set = [
    "statement_timeout",
    "idle_session_timeout",
    "idle_in_transaction_session_timeout",
    "transaction_timeout",
  ].filter((name) => (settings[name] ?? "0") !== "0");
  if (set.length === 0) return ok("timeouts", "No timeout of the server ends sessions or statements.");
  const list = set.map((name) => `${name} = ${formatDuration(Number(settings[name]))}`).join(", ");
  return isDirect
    ? ok("timeouts", `${list}: switched off on the connections of a locker.`)
    : warning(
        "timeouts",
        `${list}: behind a pooler a locker cannot switch these off.`,
        "Set them to 0 for this role: alter role ... set ... = 0.",
      );
}

const FEW = 0.8;
/** Session, commands, renewals. */
const OF_A_LOCKER = 3;

function connections({ connections }: Facts): Finding {
  const { used, max, ofRole, ofDatabase } = connections;
  const message = `${used} of ${max} connections are in use; a locker takes ${OF_A_LOCKER} at most.`;
  const limits = [ofRole, ofDatabase].filter((limit) => limit >= 0);
  const least = Math.min(...limits);
  if (least < OF_A_LOCKER) {
    return problem(
      "connections",
      `The role or the database is limited to ${least} connections; a locker takes up to ${OF_A_LOCKER}.`,
      "Raise the limit: alter role ... connection limit, alter database ... connection limit.",
    );
  }
  if (used + OF_A_LOCKER > max)
    return problem("connections", message, "Raise max_connections, or put a pooler before the application.");
  if (used > max * FEW)
    return warning("connections", message, "Raise max_connections, or put a pooler before the application.");
  return ok("connections", message);
}

const STEP_MS = 100;
const SKEW_MS = 1_000;

function clock({ clock }: Facts): readonly Finding[] {
  const { aheadMs, uncertaintyMs, stepMs, grantAheadMs } = clock;
  const findings: Finding[] = [];
  if (Math.abs(stepMs) > STEP_MS + uncertaintyMs) {
    findings.push(
      problem(
        "clock",
        `The server's clock was stepped by ${signed(stepMs)} while it was watched.`,
        "Let the server's clock be slewed, not stepped: a step forward ends leases early, and two may hold one key.",
      ),
    );
  }
  if (grantAheadMs !== null && grantAheadMs > STEP_MS) {
    findings.push(
      problem(
        "clock",
        `A lease was granted ${formatDuration(grantAheadMs)} in the future: the server's clock was set back.`,
        "Keep the server's clock in step (chrony, ntpd). Such leases last longer by that much.",
      ),
    );
  }
  const isOff = Math.abs(aheadMs) > SKEW_MS + uncertaintyMs;
  if (isOff) {
    findings.push(
      warning(
        "clock",
        `The server's clock is ${signed(aheadMs)} from this machine's. Locks do not depend on it; times in logs do.`,
        "Keep both clocks in step (chrony, ntpd).",
      ),
    );
  }
  return findings.length > 0
    ? findings
    : [ok("clock", "The server's clock agrees with this machine's to a second, and runs evenly.")];
}

function signed(ms: number): string {
  return `${ms < 0 ? "-" : "+"}${formatDuration(Math.abs(ms))}`;
}

const LONG_MS = 5 * 60_000;

function transactions({ transactions }: Facts): readonly Finding[] {
  const { oldestMs, oldestPid, preparedOldestMs, inactiveSlots } = transactions;
  const findings: Finding[] = [];
  const bloat = "While it is open, no old version of a row is cleared away, and locking slows down to a fraction.";
  if (oldestMs !== null && oldestMs > LONG_MS) {
    findings.push(
      warning(
        "transactions",
        `A transaction has been open for ${formatDuration(oldestMs)}. ${bloat}`,
        `Find out why; to end it: select pg_terminate_backend(${oldestPid});`,
      ),
    );
  }
  if (preparedOldestMs !== null && preparedOldestMs > LONG_MS) {
    findings.push(
      warning(
        "transactions",
        `A prepared transaction has been open for ${formatDuration(preparedOldestMs)}. ${bloat}`,
        "See pg_prepared_xacts; end it with COMMIT PREPARED or ROLLBACK PREPARED.",
      ),
    );
  }
  if (inactiveSlots > 0) {
    findings.push(
      warning(
        "transactions",
        `${inactiveSlots} replication ${inactiveSlots === 1 ? "slot is" : "slots are"} not in use: such a slot may keep old versions of rows, and WAL without end.`,
        "See pg_replication_slots; drop what nobody comes back for.",
      ),
    );
  }
  if (findings.length > 0) return findings;
  return [
    oldestMs === null
      ? ok("transactions", "How long transactions are open cannot be seen by this role (pg_read_all_stats).")
      : ok("transactions", "No transaction has been open for long."),
  ];
}

function autovacuum({ settings }: Facts): Finding | null {
  return settings.autovacuum === "off"
    ? warning(
        "autovacuum",
        "autovacuum is off: the table of leases grows, and locking slows down.",
        "Set autovacuum = on.",
      )
    : null;
}

/** A lock's token travels as a parameter. */
function logging({ settings }: Facts): Finding | null {
  const { log_statement, log_min_duration_statement = "-1", log_parameter_max_length = "-1" } = settings;
  const logsStatements = log_statement === "all" || log_statement === "mod" || log_min_duration_statement !== "-1";
  if (!logsStatements || log_parameter_max_length === "0") return null;
  return warning(
    "logging",
    "The server logs statements with their parameters: the secret tokens of locks may be in its log.",
    "Set log_parameter_max_length = 0, or keep the log from those who must not release locks.",
  );
}

function fences({ fenceSource }: Facts): Finding | null {
  if (fenceSource !== "manual") return null;
  return warning(
    "fences",
    "This service hides what tells a failover, so fences do not notice one.",
    "After each failover or restore, run as the owner: select leasehold.bump_epoch();",
  );
}

function deadlocks({ deadlocks }: Facts): Finding | null {
  if (deadlocks.length === 0) return null;
  return warning(
    "deadlocks",
    deadlocks.join("; "),
    "One of them must let go: leasehold release --force <key>. Lock keys in one order everywhere.",
  );
}

function ok(check: string, message: string): Finding {
  return { check, level: "ok", message, advice: null };
}

function warning(check: string, message: string, advice: string | null): Finding {
  return { check, level: "warning", message, advice };
}

function problem(check: string, message: string, advice: string | null): Finding {
  return { check, level: "problem", message, advice };
}
