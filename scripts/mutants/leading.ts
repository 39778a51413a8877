// `lead`: when it campaigns, how a term ends, and what ends it for good.
import type { Mutant } from "./mutant.js";

const lead = "src/locker/lead.ts";
const term = "src/locker/term.ts";
const pace = "src/locker/campaign-pace.ts";
const options = "src/config/lead-options.ts";
const terms = "test/unit/lead/term.test.ts";
const outages = "test/unit/lead/outage.test.ts";
const optionTests = "test/unit/options/lead-options.test.ts";

type Edits = Mutant["edits"];
const one = (name: string, file: string, edits: Edits, ...tests: readonly string[]): Mutant => ({
  name: `lead: ${name}`,
  file,
  edits,
  tests,
});

export const leading: readonly Mutant[] = [
  one(
    "a look that was late by an old reading of the server's clock is an outage",
    "src/acquire/looks.ts",
    [['answer.outcome === "late" && this.clock.msUntil(until) > 0', 'answer.outcome === "late" && false']],
    outages,
  ),
  one(
    "campaigns while the body still runs",
    term,
    [
      [
        "return { value: await body(lock, signal) };",
        "return { value: await Promise.race([body(lock, signal), lost(signal)]) };",
      ],
      [
        "interface Released {",
        'function lost(signal: AbortSignal): Promise<never> {\n  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));\n}\n\ninterface Released {',
      ],
    ],
    terms,
  ),
  one(
    "a body that returns after a loss has resigned",
    term,
    [["return loss === null ? { value: isStopped", "return (loss as null) === null || true ? { value: isStopped"]],
    terms,
  ),
  one(
    "a body that throws after a loss ends it",
    term,
    [["  if (loss !== null) {\n    if (!isEnd)", "  if (false as boolean) {\n    if (!isEnd)"]],
    terms,
  ),
  one(
    "a loss that only the release finds is none",
    term,
    [["return { loss: error, wasNotHeld: false };", "return { loss: null, wasNotHeld: true };"]],
    terms,
  ),
  one(
    "a locker that is closed in order has lost nothing",
    term,
    [["lock.signal.aborted ? lock.signal.reason : null", "null"]],
    terms,
  ),
  one(
    "Postgres's word that the grant has ended ends it",
    term,
    [["(isOfGrant && !released.wasNotHeld ? error : null)", "null"]],
    terms,
  ),
  one(
    "a lock that the body has released counts as lost",
    term,
    [["(isOfGrant && !released.wasNotHeld ? error : null)", "(isOfGrant ? error : null)"]],
    terms,
  ),
  one(
    "an error about another grant counts as a loss",
    term,
    [["cause.key === key && cause.fence === fence", 'cause.key !== "" || key !== String(fence)']],
    terms,
  ),
  one(
    "the loss itself is told as an error of the body",
    term,
    [["    if (!isEnd) {\n", "    if (isEnd || !isEnd) {\n"]],
    terms,
  ),
  one("what else a body throws after a loss is dropped", term, [["      init.onThrown(error);\n", ""]], terms),
  one(
    "without onError what a body throws is dropped",
    lead,
    [["      callbacks.call(() => {\n        throw error;\n      });", "      callbacks.report(error);"]],
    terms,
  ),
  one(
    "asked to end, a body that throws the abort fails",
    term,
    [["  if (isStopped && isEnd) {", "  if (isStopped && isOfGrant) {"]],
    terms,
  ),
  one(
    "an abort that nobody asked for is the end",
    term,
    [["  if (isStopped && isEnd) {", "  if ((isStopped && isEnd) || isAbort(error, AbortSignal.abort())) {"]],
    terms,
  ),
  one(
    "asked to end, it resolves to the body's value",
    term,
    [["isStopped ? undefined : settled.value", "settled.value"]],
    terms,
  ),
  one(
    "the body does not hear of the caller's signal",
    term,
    [["joinSignals([lock.signal, stop])", "joinSignals([lock.signal])"]],
    terms,
  ),
  one("the body does not hear of a loss", term, [["joinSignals([lock.signal, stop])", "joinSignals([stop])"]], terms),
  one(
    "the body runs although it was asked to end",
    term,
    [
      [
        "  if (stop?.aborted) {\n    return { value: undefined };",
        "  if (stop === undefined) {\n    return { value: undefined };",
      ],
    ],
    terms,
  ),
  one("a listener is left on the caller's signal", term, [["  signals.end();\n", ""]], terms),
  one(
    "a signal that is aborted already sends something",
    lead,
    [["    if (resolved.signal?.aborted) {\n      return undefined;\n    }\n", ""]],
    terms,
  ),
  one(
    "its body is not known to reentry",
    lead,
    [["tracksReentry ? inside : run, resolved", "run === inside ? inside : run, resolved"]],
    terms,
  ),
  one(
    "it is not refused in the body of its own key",
    lead,
    [["      refuseReentry(fullKey, holdings.on(fullKey));\n", ""]],
    terms,
  ),
  one(
    "a strategy is asked while the locker closes",
    lead,
    [["    if (calls.isClosing) {\n      throw new ClosedError();\n    }\n    const ms", "    const ms"]],
    terms,
  ),
  one("a pause outlasts the locker", lead, [["joinSignals([stop, calls.closing])", "joinSignals([stop])"]], terms),
  one(
    "a pause outlasts the signal",
    lead,
    [["joinSignals([stop, calls.closing])", "joinSignals([calls.closed])"]],
    outages,
  ),
  one(
    "pauses although it was asked to end",
    lead,
    [
      [
        "      if (!stop?.aborted) {\n        await this.#pause(() => pace.lost",
        "      if (stop !== undefined) {\n        await this.#pause(() => pace.lost",
      ],
    ],
    terms,
  ),
  one(
    "a process ends that only waits as a leader",
    lead,
    [
      ["return await calls.run(() => this.#campaign(", "return await (() => this.#campaign("],
      ["inside : run, resolved));", "inside : run, resolved))();"],
    ],
    "test/api/process-end.test.ts",
  ),
  one(
    "waits for the transaction that it is called from",
    lead,
    [["    if (refused !== null) {\n      throw refused;\n    }\n", ""]],
    "test/api/given-client-exhausted.test.ts",
  ),
  one(
    "a wrong password ends it",
    lead,
    [["isHopeless(error) && (!backend.wasReady || isEnded(error))", "isHopeless(error)"]],
    outages,
  ),
  one(
    "a wrong password that was never right is waited for",
    lead,
    [["(!backend.wasReady || isEnded(error))", "isEnded(error)"]],
    outages,
  ),
  one(
    "a client that was ended is waited for",
    lead,
    [["(!backend.wasReady || isEnded(error))", "!backend.wasReady"]],
    outages,
  ),
  one(
    "what Postgres refuses is not told",
    lead,
    [["    callbacks.report(error);\n    return error;", "    return error;"]],
    outages,
  ),
  one("a wait has no pace", "src/acquire/wait.ts", [["pace?.failed(failure) ?? OUTAGE_MS", "OUTAGE_MS"]], outages),
  one("an answer does not begin anew", "src/acquire/wait.ts", [["        pace?.answered();\n", ""]], outages),
  one(
    "a loss does not begin anew",
    pace,
    [["    this.#attempt = 0;\n    return this.#next(loss, atOnce);", "    return this.#next(loss, atOnce);"]],
    outages,
  ),
  one(
    "pauses after a loss",
    pace,
    [["const atOnce: RetryStrategy = () => 0;", "const atOnce: RetryStrategy = () => 1_000;"]],
    outages,
  ),
  one("its pauses grow beyond 5 s", pace, [["{ maxDelayMs: 5_000 }", "{}"]], outages),
  one(
    "waits no longer than the locker's waitMs",
    options,
    [["{ ...locker, waitMs: Number.POSITIVE_INFINITY, retry: null }", "{ ...locker, retry: null }"]],
    optionTests,
  ),
  one(
    "has the locker's retry for tries",
    options,
    [["waitMs: Number.POSITIVE_INFINITY, retry: null }", "waitMs: Number.POSITIVE_INFINITY }"]],
    optionTests,
    outages,
  ),
  one(
    "a minimum hold is drawn once",
    options,
    [["draw: () => ({ ...resolveAcquireOptions(byDefault, {}, { waits: true }), signal }),", "draw: () => once,"]],
    optionTests,
  ),
  one(
    "is shared",
    options,
    [
      ['  shared: "a leader is alone",\n', ""],
      ["...Object.keys(refused)]", '...Object.keys(refused), "shared"]'],
    ],
    optionTests,
  ),
];
