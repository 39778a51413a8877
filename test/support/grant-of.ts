// Whether a grant still has its key.
import { expect } from "vitest";

/** What the row of a key says while this grant has it: no other grant of the key has its fence, and a free key has no token. */
export function grantOf({ fence }: { readonly fence: bigint }): { readonly token: unknown; readonly fence: bigint } {
  return { token: expect.any(String), fence };
}
