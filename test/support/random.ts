// Chance that can be repeated: LEASEHOLD_SEED=<the seed that was printed>.

/** Numbers from 0 to below 1. Prints its seed. */
export function seeded(what: string): () => number {
  return randomFrom(chooseSeed(what));
}

/** The seed of this run, printed. */
export function chooseSeed(what: string): number {
  const seed = Number(process.env.LEASEHOLD_SEED ?? Math.floor(Math.random() * 2 ** 32));
  console.log(`[tests] ${what}: LEASEHOLD_SEED=${seed}`);
  return seed;
}

/** Numbers from 0 to below 1, the same for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
