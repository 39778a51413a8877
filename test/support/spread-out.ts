import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * The order of the files: those of each project spread evenly over the whole run, in place of one project after the other. What runs over TLS mostly
 * waits, and leaves the processors to the others.
 */
export class SpreadOut extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const counts = new Map<string, number>();
    const places = sorted.map(({ project: { name } }) => {
      const place = counts.get(name) ?? 0;
      counts.set(name, place + 1);
      return place;
    });
    return sorted
      .map((file, index) => ({
        file,
        at: ((places[index] as number) + 0.5) / (counts.get(file.project.name) as number),
      }))
      .sort((a, b) => a.at - b.at)
      .map(({ file }) => file);
  }
}
