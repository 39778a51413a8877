import type { VNode } from "preact";
import type { KeyState } from "../state/keys.js";

const meanings: Readonly<Record<KeyState, string>> = {
  held: "Granted to one holder",
  shared: "Granted to readers beside each other",
  semaphore: "Granted in parts, up to a capacity",
  revoked: "Taken by an operator: its holder has not let go yet",
  cooling: "Released, and kept until its minimum hold ends",
  blocked: "Kept by an open transaction alone",
  expired: "Not renewed in time, and not released: free for the next",
  orphaned: "Its holder is dead: free for the next",
  "waited for": "Free, or not visible: somebody waits for it",
};

export function Badge({ state }: { readonly state: KeyState }): VNode {
  return (
    <span class="badge" data-state={state} title={meanings[state]}>
      {state}
    </span>
  );
}
