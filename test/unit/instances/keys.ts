// Keys as applications have them, the same in every run.
import { createHash } from "node:crypto";

const times = (count: number, make: (index: number) => string): readonly string[] =>
  Array.from({ length: count }, (_, index) => make(index));

/** As a random UUID looks, but the same in every run. */
export function uuid(index: number): string {
  const hex = createHash("md5").update(String(index)).digest("hex");
  const [a, b, c, d, e] = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(13, 16), hex.slice(17, 20), hex.slice(20)];
  return `${a}-${b}-4${c}-a${d}-${e}`;
}

export const COUNT = 100_000;

export const shapes: Readonly<Record<string, readonly string[]>> = {
  "numbers behind a prefix": times(COUNT, (index) => `order:${index + 1}`),
  "numbers alone": times(COUNT, (index) => String(index)),
  "numbers of one length": times(COUNT, (index) => String(index).padStart(12, "0")),
  uuids: times(COUNT, (index) => uuid(index)),
  "tenants with a few keys each": times(COUNT, (index) => `tenant:${index % 20_000}:job:${Math.floor(index / 20_000)}`),
  "e-mail addresses": times(COUNT, (index) => `user:${uuid(index).slice(0, 8)}@example.com`),
  "text that is not ASCII": times(COUNT, (index) => `straße/東京/😀/${index}`),
};
