/**
 * One object for all copies of this package in the process: the ES module and the CommonJS module, or two versions. Whoever asks first makes
 * it. A later version may read what an earlier one made, so the shape behind a name never changes: take a new name instead.
 */
export function processWide<Value extends object>(name: string, make: () => Value): Value {
  const symbol = Symbol.for(`leasehold.${name}`);
  const shared = globalThis as { [symbol: symbol]: Value | undefined };
  const found = shared[symbol];
  if (found !== undefined) return found;
  const value = make();
  Object.defineProperty(shared, symbol, { value });
  return value;
}
