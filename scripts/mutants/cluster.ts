// The judge of `npm run cluster`: a judge that overlooks something says that all is well. And how the command ends what it started.
import type { Mutant } from "./mutant.js";

const judge = "test/unit/cluster/judge.test.ts";
const folder = "test/cluster/folder.test.ts";

type Edits = Mutant["edits"];
const one = (name: string, file: string, edits: Edits, test = judge): Mutant => ({
  name: `cluster: ${name}`,
  file: `test/cluster/${file}.ts`,
  edits,
  tests: [test],
});

export const cluster: readonly Mutant[] = [
  one("holders of one server are excused as those of two are", "judge-beliefs", [
    ["epochOf(other.grant) !== epochOf(belief.grant)", "true"],
  ]),
  one("a long holder is forgotten behind a short one", "judge-beliefs", [
    ["current.filter(({ to }) => to >= belief.from)", "current.slice(-1).filter(({ to }) => to >= belief.from)"],
  ]),
  one("a read lock beside an exclusive one is shared", "judge-beliefs", [
    ['one.mode !== "exclusive" && other.mode', 'one.mode !== "exclusive" || other.mode'],
  ]),
  one("a semaphore has a part more", "judge-beliefs", [["parts.length <= capacity", "parts.length <= capacity + 1"]]),
  one("a lock comes back to life unseen", "judge-beliefs", [["to > at)", "to > at + 1_000)"]]),
  one("the same fence again is none that fell", "judge-fences", [
    ["grant.fence > bound.fence) continue", "grant.fence >= bound.fence) continue"],
  ]),
  one("a fence that fell on one server is excused", "judge-fences", [["epochOf(grant) < epochOf(bound)", "true"]]),
  one("a lost update is excused without a write that was lost", "judge-writes", [
    ['"transfer" && lostValues', '"transfer" || lostValues'],
  ]),
  one("a stale commit is seen only behind a newer one", "judge-writes", [["grant.at < from);", "grant.at < 0);"]]),
  one("a write that was refused may be there", "judge-writes", [
    ['attempt?.outcome === "refused"', 'attempt?.outcome === "committed" && false'],
  ]),
  one("what is excused with asynchronous replication is with synchronous", "findings", [
    ['this.#facts.mode === "async" && ', ""],
  ]),
  one("a fault that loses nothing is excused", "findings", [[" && this.#facts.mayLose", ""]]),
  one("a call that never settles is not seen", "judge-calls", [
    ["until - from <= limitMs", "(to ?? from) - from <= limitMs"],
  ]),
  one(
    "what others have started outlives the folder",
    "folder",
    [
      ["for (let round = 0; round < 100; round += 1) {", "for (let round = 0; round < 0; round += 1) {"],
      ["throw new Error(`these do not end", 'if (folder === "") throw new Error(`these do not end'],
    ],
    folder,
  ),
  one(
    "nobody cleans up after a command that was killed",
    "folder",
    [["guard(cleanUp, path)", 'guard("true", path)']],
    folder,
  ),
];
