import { quoteLiteral } from "../../runtime/quote.js";
import { formatDuration } from "../duration.js";
import type { Facts } from "./facts.js";
import { type Finding, ok, problem, warning } from "./finding.js";

/** What is happening now that should not. */
export function stateFindings(facts: Facts): readonly (Finding | null)[] {
  return [...clock(facts), ...transactions(facts), ...fences(facts), deadlocks(facts), capacities(facts)];
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
/** A limit for when the time cannot be seen: about as many as a busy key causes in a few minutes. */
const MANY = 100_000;

type OpenTransaction = Facts["transactions"]["horizons"][number];

function transactions({ transactions }: Facts): readonly Finding[] {
  const { horizons, maySee, inactiveSlots } = transactions;
  const findings: Finding[] = horizons
    .filter(({ openMs, age }) => (openMs === null ? age > MANY : openMs > LONG_MS))
    .map((horizon) => warning("transactions", `${describe(horizon)} ${BLOAT}`, adviceFor(horizon)));
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
    maySee
      ? ok("transactions", "No transaction has been open for long.")
      : ok("transactions", "How long transactions are open cannot be seen by this role (pg_read_all_stats)."),
  ];
}

const BLOAT =
  "While it is open, no old version of a row that was written since is cleared away: keys that are locked often get slower and slower.";

function describe({ kind, openMs, age, pid, name, role, state }: OpenTransaction): string {
  const since = openMs === null ? `for ${age} transactions` : `for ${formatDuration(openMs)}`;
  switch (kind) {
    case "backend": {
      const about = [name, state, role === null ? null : `role ${role}`].filter((part) => part !== null);
      return `A transaction has been open ${since}: server process ${pid} (${about.join(", ")}).`;
    }
    case "prepared-transaction":
      return `A prepared transaction has been open ${since}: ${name} (role ${role}).`;
    case "replication-slot":
      return `A replication slot holds a snapshot ${since}: ${name}.`;
    case "standby":
      return `A query on a standby holds a snapshot ${since}: ${name}, server process ${pid}.`;
  }
}

function adviceFor({ kind, pid, name }: OpenTransaction): string {
  switch (kind) {
    case "backend":
      return `Find out why; to end it: select pg_terminate_backend(${pid});`;
    case "prepared-transaction":
      return `End it with COMMIT PREPARED or ROLLBACK PREPARED ${quoteLiteral(name ?? "")};`;
    case "replication-slot":
    case "standby":
      return "End the long query on the standby, or set hot_standby_feedback = off there. A slot that nobody uses: select pg_drop_replication_slot(...);";
  }
}

function fences({ fences }: Facts): readonly Finding[] {
  const { source, knowsCluster, areLeasesLogged, ahead } = fences;
  const findings: Finding[] = [];
  if (areLeasesLogged === false) {
    findings.push(
      problem(
        "fences",
        "The table leasehold.leases is unlogged: a crash empties it while clients hold their locks, and fences go back.",
        "alter table leasehold.leases set logged;",
      ),
    );
  }
  if (ahead !== null) {
    findings.push(
      problem(
        "fences",
        `The fence ${ahead} is stored here, and new keys get smaller ones: the data comes from elsewhere, without its leasehold.fence_epoch.`,
        `Run: select leasehold.bump_epoch(${ahead});`,
      ),
    );
  }
  if (source === "manual") {
    findings.push(
      warning(
        "fences",
        "This service hides the write-ahead log, so fences do not notice a failover or a restore.",
        "After each of them, run as the owner or an administrator: select leasehold.bump_epoch();",
      ),
    );
  } else if (source !== null && knowsCluster === false) {
    findings.push(
      warning(
        "fences",
        "This service hides its system identifier: fences rise over failovers and restores, but do not notice a move to another server.",
        "After a move, run as the owner or an administrator: select leasehold.bump_epoch();",
      ),
    );
  }
  if (findings.length > 0 || source === null) return findings;
  return [
    ok(
      "fences",
      "Fences rise by themselves. After a snapshot of the whole server was brought back, or a dump from before its last move: select leasehold.bump_epoch();",
    ),
  ];
}

function deadlocks({ deadlocks }: Facts): Finding | null {
  if (deadlocks.length === 0) return null;
  return warning(
    "deadlocks",
    deadlocks.join("; "),
    "One of them must let go: leasehold release --force <key>. Lock keys in one order everywhere.",
  );
}

function capacities({ mixedCapacities }: Facts): Finding | null {
  if (mixedCapacities.length === 0) return null;
  const keys = mixedCapacities.map(({ key, least, most }) => `${key} (${least} to ${most})`);
  return warning(
    "capacities",
    `Semaphores are held with different capacities: ${keys.join(", ")}. The smallest counts for all while it is held.`,
    "Let everybody who asks for a key give the same capacity.",
  );
}
