// Errors that nobody caught, in this process and in those that tests start: each fails the test in which it came. Vitest sees
// those of this process, too, and fails the run, but cannot say which test it was.

interface Uncaught {
  readonly where: string;
  readonly text: string;
}

const found: Uncaught[] = [];
let expected: RegExp | undefined;

/** The test makes this one itself: it must come, and is no fault. Ends with the test. */
export function expectUncaught(pattern: RegExp): void {
  expected = pattern;
}

/** What a process of Node has written at its end: does it tell of an error that nobody caught? */
export function noteStderr(where: string, stderr: string): void {
  // Node's last line, below the error and its stack
  if (/^Node\.js v\d+\.\d+\.\d+$/m.test(stderr)) note(where, stderr.slice(-5_000));
}

/** A process that neither ended by itself nor was ended by its test. */
export function noteSignal(where: string, signal: string): void {
  note(where, `ended by ${signal}`);
}

let isWatching = false;

/** Listens in this process until it ends. Again for each of the files that share it. */
export function watchThisProcess(): void {
  if (isWatching) return;
  isWatching = true;
  const describe = (error: unknown) => (error instanceof Error ? `${error.stack}` : String(error));
  process.on("uncaughtException", (error) => note("in this process", describe(error)));
  process.on("unhandledRejection", (reason) => note("in this process", describe(reason)));
}

/** All since the last call. */
export function takeUncaught(): string[] {
  const [pattern, all] = [expected, found.splice(0)];
  expected = undefined;
  if (pattern === undefined) return all.map(({ where, text }) => `${where}: ${text}`);
  const others = all.filter(({ text }) => !pattern.test(text)).map(({ where, text }) => `${where}: ${text}`);
  return all.length === others.length ? [...others, `expected, and did not come: ${pattern}`] : others;
}

function note(where: string, text: string): void {
  found.push({ where, text });
}
