import { formatDuration } from "../duration.js";
import type { Facts } from "./facts.js";
import { type Finding, ok, problem, warning } from "./finding.js";

/** Whether the server's settings let it keep its promises. */
export function settingsFindings(facts: Facts): readonly (Finding | null)[] {
  return [
    ...durability(facts),
    replication(facts),
    timeouts(facts),
    connections(facts),
    autovacuum(facts),
    logging(facts),
  ];
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
/** The connections of a locker: session, commands, renewals. */
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

function autovacuum({ settings }: Facts): Finding | null {
  return settings.autovacuum === "off"
    ? warning(
        "autovacuum",
        "autovacuum is off: the table of leases grows, and locking slows down.",
        "Set autovacuum = on.",
      )
    : null;
}

/** A server that logs parameters logs tokens: they are sent as parameters. */
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
