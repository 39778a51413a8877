// The arithmetic of the results. All of it is pure, and tested without a server.

export function median(numbers: readonly number[]): number {
  return quantile(numbers, 0.5);
}

/** Linear between the two nearest samples; NaN when there are none. */
export function quantile(numbers: readonly number[], at: number): number {
  if (numbers.length === 0) return Number.NaN;
  const sorted = numbers.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * at;
  const [low, high] = [sorted[Math.floor(place)] as number, sorted[Math.ceil(place)] as number];
  return low + (high - low) * (place - Math.floor(place));
}

/** Half the distance between the quartiles as a part of the median: 0.05 reads as "within 5 %". */
export function spread(numbers: readonly number[]): number {
  const middle = median(numbers);
  return middle === 0 ? 0 : (quantile(numbers, 0.75) - quantile(numbers, 0.25)) / 2 / middle;
}

/**
 * The median of the ratios window by window where both were measured in turns: a slow moment of the machine hits both sides of one
 * ratio. With different numbers of windows there are no pairs, and the medians are compared.
 */
export function ratio(numerators: readonly number[], denominators: readonly number[]): number {
  if (numerators.length !== denominators.length) return median(numerators) / median(denominators);
  return median(numerators.map((value, index) => value / (denominators[index] as number)));
}

/** How evenly shares are dealt out: 1 when all are equal, 1/n when one has everything. */
export function jain(shares: readonly number[]): number {
  const sum = shares.reduce((total, share) => total + share, 0);
  const squares = shares.reduce((total, share) => total + share * share, 0);
  return squares === 0 ? Number.NaN : (sum * sum) / (shares.length * squares);
}

export function mean(numbers: readonly number[]): number {
  return numbers.reduce((total, value) => total + value, 0) / numbers.length;
}
