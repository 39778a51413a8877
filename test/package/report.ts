/** One thing that must be true of the package. */
export interface Check {
  readonly name: string;
  readonly run: () => Promise<void>;
}

/** How many at once: as many as a small machine of CI has processors. */
const PARALLEL = 2;

/** Runs checks, and says of each how it went. */
export class Report {
  passed = 0;
  failed = 0;

  async all(checks: readonly Check[]): Promise<void> {
    const waiting = [...checks];
    const work = async () => {
      for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) await this.one(check);
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
  }

  /** Whether it passed. */
  async one({ name, run }: Check): Promise<boolean> {
    const start = performance.now();
    const seconds = () => ((performance.now() - start) / 1_000).toFixed(1);
    try {
      await run();
    } catch (error) {
      this.failed += 1;
      console.log(`FAIL ${name} (${seconds()} s)`);
      console.log(error instanceof Error ? error.message : error);
      return false;
    }
    this.passed += 1;
    console.log(`ok   ${name} (${seconds()} s)`);
    return true;
  }
}
