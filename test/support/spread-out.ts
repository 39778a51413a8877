import { BaseSequencer, type TestSpecification } from "vitest/node";

/** How many files there are to a round: in each the run goes through all projects. */
const filesPerRound = 80;

/**
 * The order of the files: a part of each project in turn, in place of one project after the other. What runs over TLS mostly waits, and leaves the
 * processors to the others. Not file by file: vitest ends a process that files share when the next file is another project's. The last are
 * the short files without a server.
 */
export class SpreadOut extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const of = (name: string) => sorted.filter(({ project }) => project.name === name);
    const names = new Set(sorted.map(({ project }) => project.name));
    const projects = [...names].filter((name) => name !== "unit").map(of);
    const rounds = Math.ceil(sorted.length / filesPerRound);
    const parts = Array.from({ length: rounds }, (_, round) => projects.flatMap((all) => part(all, round, rounds)));
    return [...parts.flat(), ...of("unit")];
  }
}

/** In the order of `all`, which has the longest first. */
function part(all: readonly TestSpecification[], round: number, rounds: number): TestSpecification[] {
  return all.slice(Math.round((all.length * round) / rounds), Math.round((all.length * (round + 1)) / rounds));
}
