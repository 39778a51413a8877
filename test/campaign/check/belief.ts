// P1, as clients see it: no process believes that it holds after Postgres could have granted the key to another. A sample of
// belief was taken at its `t` or later, so it says that the process believed at `t`.
import type { Entry } from "../log.js";
import { Earliest } from "./earliest.js";
import type { Belief, GrantRow } from "./entries.js";
import type { History } from "./history.js";
import { decidedAt, grantOf, type Hold, type KeyHistory } from "./keys.js";
import type { Handle } from "./processes.js";
import { SLACK } from "./times.js";
import type { Report } from "./verdict.js";
import { sayHandle, sayKey } from "./words.js";

/** From `t` on a handle is not held any more, and why. */
interface Bound {
  readonly t: number;
  readonly why: string;
  readonly evidence: readonly Entry[];
}

export function checkBelief(history: History, report: Report): void {
  for (const key of history.keys.values()) {
    // what is adopted was granted before
    const handles = key.handles.filter(({ call }) => call.entry.call !== "adopt");
    const answered = new Earliest(handles, (handle) => [handle.told, handle.grant.mode !== "exclusive"]);
    const granted = new Earliest(key.holds, (hold) => [
      history.times.monotonic(decidedAt(hold), grantOf(hold).node),
      hold.kind === "share",
    ]);
    for (const handle of key.handles) {
      const hold = key.hold(handle.fence);
      const node = hold && grantOf(hold).node;
      const isPromised = ({ t }: Belief): boolean => {
        return !history.isExclusionLimited(t, node) && !isTakenByForce(history, hold, t);
      };
      const believing = handle.beliefs.filter((belief) => belief.held || belief.asserts);
      const beliefs = believing.filter(isPromised);
      const left = believing.length - beliefs.length;
      if (left > 0) report.unsure("P1", "samples of belief where exclusion is not promised", left);
      if (beliefs.length === 0) continue;
      compare(
        history,
        handle,
        beliefs,
        "against answers to others",
        answeredToAnother(history, handle, answered),
        report,
      );
      if (!history.times.isKnown || !history.hasRows) {
        report.unsure("P1", "samples of belief without rows or clocks", beliefs.length);
        continue;
      }
      compare(history, handle, beliefs, "against grants of others", grantedToAnother(history, handle, granted), report);
      compareWithVersions(history, handle, key, beliefs, report);
    }
  }
}

/** At once, while its holder may still believe. */
function isTakenByForce(history: History, hold: Hold | undefined, t: number): boolean {
  const { limits, times } = history;
  const end = hold?.end;
  if (!limits.has("immediate-release") || end === undefined || end.revokedAt === null) return false;
  const at = times.monotonic(end.revokedAt, end.node);
  return at === null || t >= at - SLACK;
}

function compare(
  history: History,
  handle: Handle,
  beliefs: readonly Belief[],
  what: string,
  bound: Bound | undefined,
  report: Report,
): void {
  report.checked("P1", `samples of belief ${what}`, beliefs.length);
  if (bound === undefined) return;
  const late = beliefs.find((belief) => belief.t > bound.t);
  if (late) object(history, handle, late, bound, report);
}

function object(history: History, handle: Handle, late: Belief, bound: Bound, report: Report): void {
  const { times } = history;
  report.object(
    "P1",
    `${sayHandle(handle)} believed at ${times.say(late.t)} that it holds ${sayKey(handle.grant.key)}, but ${bound.why}: ${ms(late.t - bound.t)} too long`,
    [handle.answer, ...bound.evidence, late],
  );
}

/** Of those with a larger fence who exclude it, the first who was told of its grant. */
function answeredToAnother(history: History, handle: Handle, earliest: Earliest<Handle>): Bound | undefined {
  const other = earliest.after(handle.fence, handle.grant.mode !== "exclusive");
  if (other === undefined) return undefined;
  const why = `${sayHandle(other.of)} was told of its grant at ${history.times.say(other.t)}`;
  return { t: other.t, why, evidence: [other.of.answer] };
}

function grantedToAnother(history: History, handle: Handle, earliest: Earliest<Hold>): Bound | undefined {
  const other = earliest.after(handle.fence, handle.grant.mode !== "exclusive");
  if (other === undefined) return undefined;
  const why = `Postgres granted it with fence ${other.of.fence} at ${history.times.say(other.t)}`;
  return { t: other.t + SLACK, why, evidence: [grantOf(other.of)] };
}

/** What had been committed by then says until when it was granted: the largest expiry of its versions. */
function compareWithVersions(
  history: History,
  handle: Handle,
  key: KeyHistory,
  beliefs: readonly Belief[],
  report: Report,
): void {
  const { times } = history;
  const hold = key.hold(handle.fence);
  const lost = key.lostVersions(handle.fence);
  if (hold === undefined && lost.length === 0) {
    report.unsure("P1", "samples of belief in grants that are not in the tables", beliefs.length);
    if (key.holds.length > 0 && history.failoverAt === Number.POSITIVE_INFINITY) {
      report.object(
        "P1",
        `${sayHandle(handle)} was told that it holds ${sayKey(key.key)}, and the database has no such grant`,
        [handle.answer],
      );
    }
    return;
  }
  const versions = [...(hold?.versions ?? []), ...lost.filter(({ token }) => token !== null)];
  const token = tokenOf(history, handle, versions);
  const steps: { readonly t: number; readonly until: number; readonly row: GrantRow }[] = [];
  for (const row of versions) {
    if (row.expiresAt === null || row.token !== token) continue;
    const t = times.monotonic(row.committedAt ?? row.at, row.node);
    const until = times.monotonic(row.expiresAt, row.node);
    // what is not known allows everything
    steps.push({ t: t === null ? Number.NEGATIVE_INFINITY : t - SLACK, until: until ?? Number.POSITIVE_INFINITY, row });
  }
  steps.sort((one, other) => one.t - other.t);
  const end = hold && endOf(history, hold, token);
  report.checked("P1", "samples of belief against what was committed", beliefs.length);
  let at = 0;
  let allowed: { readonly until: number; readonly row: GrantRow } | undefined;
  for (const belief of beliefs) {
    for (let step = steps[at]; step !== undefined && step.t <= belief.t; step = steps[at]) {
      if (allowed === undefined || step.until > allowed.until) allowed = step;
      at += 1;
    }
    if (end !== undefined && belief.t > end.t) {
      object(history, handle, belief, end, report);
      return;
    }
    if (allowed === undefined) {
      report.object(
        "P1",
        `${sayHandle(handle)} believed at ${times.say(belief.t)} that it holds ${sayKey(key.key)}, before its grant was committed`,
        [handle.answer, ...(steps[0] ? [steps[0].row] : []), belief],
      );
      return;
    }
    if (belief.t > allowed.until + SLACK) {
      const why = `nothing that was committed by then grants it for longer than ${times.say(allowed.until)}`;
      object(history, handle, belief, { t: allowed.until, why, evidence: [allowed.row] }, report);
      return;
    }
  }
}

/** When the database ended the grant, or handed it over to another. */
function endOf(history: History, hold: Hold, token: string | null): Bound | undefined {
  const own = hold.versions.findLastIndex((version) => version.token === token);
  const row = own < 0 ? undefined : (hold.versions[own + 1] ?? hold.end);
  if (row === undefined || row.committedAt === null) return undefined;
  const t = history.times.monotonic(row.committedAt, row.node);
  if (t === null) return undefined;
  return { t: t + SLACK, why: `the database had ended it at ${history.times.say(t)}`, evidence: [row] };
}

/** Whoever adopts a lease gets a token of its own, which clients do not tell. */
function tokenOf(history: History, handle: Handle, versions: readonly GrantRow[]): string | null {
  if (handle.grant.token !== null) return handle.grant.token;
  if (handle.call.entry.call !== "adopt") return versions[0]?.token ?? null;
  // those that a server had alone which was replaced stand behind the others
  const told = ({ at, node }: GrantRow): number => history.times.monotonic(at, node) ?? 0;
  const known = versions.filter((row) => told(row) <= handle.told + SLACK);
  return known.sort((one, other) => told(one) - told(other)).at(-1)?.token ?? null;
}

function ms(us: number): string {
  return `${(us / 1_000).toFixed(1)} ms`;
}
