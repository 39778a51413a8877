import type { AcquireAllAnswer, AcquireAllRequest, Grant, Missing } from "../../store/messages.js";
import { EXACT_TIMES } from "../connection/exact-times.js";
import type { Row } from "../connection/link.js";
import { troubleOf } from "../connection/server-errors.js";
import { toAnswer } from "./acquire-answers.js";
import { type Acts, leaseTerms, MAX_CONFLICTS, type Proven } from "./acts.js";
import { plainArray, textArray } from "./array-literal.js";

/** Several keys, all or none of them, or a prefix. */
export const ACQUIRE_ALL: string = `select item, outcome, fence, acquired, expires, null::bigint as ticket, holder, holderfence,
    holdersession, null::int as blocker, takeover, since, now
  from leasehold_internal.acquire_all($1::int, $2::pg_catalog.uuid, $3::int, $4::pg_catalog.text, $5::int, $6::int, $7::bigint,
    $8::pg_catalog.text, $9::pg_catalog.text::boolean, $10::pg_catalog.text::boolean, $11::double precision,
    $12::pg_catalog.text::pg_catalog.text[], $13::pg_catalog.text::pg_catalog.uuid[], $14::pg_catalog.text::int[]), ${EXACT_TIMES}`;

/** A statement of its own for each set: all or none is a commit of its own. */
export async function acquireAll(acts: Acts, request: AcquireAllRequest): Promise<AcquireAllAnswer> {
  let isCareful = false;
  for (let conflicts = 0; ; ) {
    try {
      const proven = await ask(acts, request, isCareful);
      const first = proven?.answer.rows[0]?.outcome ?? "unproven";
      if (proven !== null) {
        await acts.sessionCheck.record(proven.session, first !== "unproven");
      }
      // "more": there were too many new keys for one statement, and it has inserted some.
      if (proven === null || first !== "more") {
        return proven === null || first === "unproven" ? { outcome: "unproven" } : toAllAnswer(proven);
      }
    } catch (error) {
      const trouble = troubleOf(error);
      if (trouble === "blocked" && !isCareful) {
        isCareful = true; // an insert would have waited for a stranger's transaction (rule 6)
      } else if (trouble === "conflict" && conflicts < MAX_CONFLICTS) {
        conflicts += 1;
      } else {
        throw error;
      }
    }
  }
}

function ask(acts: Acts, request: AcquireAllRequest, isCareful: boolean): Promise<Proven | null> {
  const { items, terms, notAfterMs, takesPrefix } = request;
  return acts.askProven(acts.connections.commands, ACQUIRE_ALL, [
    ...leaseTerms(terms),
    String(takesPrefix),
    String(isCareful),
    notAfterMs,
    textArray(items, ({ key }) => key),
    plainArray(items, ({ token }) => token),
    acts.session?.presence.formerIds ?? null,
  ]);
}

function toAllAnswer(proven: Proven): AcquireAllAnswer {
  const { rows } = proven.answer;
  if (rows[0]?.outcome === "late") {
    return { outcome: "late" };
  }
  const grants: Grant[] = [];
  let missing: Missing | null = null;
  for (const row of rows as readonly Row[]) {
    const index = Number(row.item) - 1;
    const answer = toAnswer(row, proven);
    if (answer.outcome === "granted") {
      grants[index] = answer;
    } else {
      missing = { index, answer: answer as Missing["answer"] };
    }
  }
  return { outcome: "answered", grants, missing };
}
