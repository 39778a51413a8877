import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { Dialog } from "../parts/dialog.js";
import { act } from "./act.js";

/** Asks whether to sweep, says what that does, and does it. */
export function Sweep({ token, onClose }: { readonly token: string; onClose(): void }): VNode {
  const [told, tell] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const sweep = async (): Promise<void> => {
    setBusy(true);
    const { ok, answer } = await act("sweep", {}, token);
    setBusy(false);
    tell(ok ? sentence(answer) : String((answer as { error?: unknown }).error));
  };
  return (
    <Dialog title="Sweep" onClose={onClose}>
      {told !== null ? (
        <p role="status">{told}</p>
      ) : (
        <p>
          Deletes what nobody needs any more: keys that have been free for long, leases that ended and were not
          released, entries of waiters and sessions that are gone. What is held stays. Every locker does the same in the
          background.
        </p>
      )}
      <form method="dialog" class="buttons">
        <button type="submit">{told === null ? "Cancel" : "Close"}</button>
        {told === null && (
          <button type="button" class="primary" disabled={isBusy} onClick={() => void sweep()}>
            {isBusy ? "Sweeping…" : "Sweep now"}
          </button>
        )}
      </form>
    </Dialog>
  );
}

function sentence(answer: unknown): string {
  const { result } = answer as { result?: Readonly<Record<string, unknown>> };
  if (result?.isBusy === true) return "Somebody else is sweeping just now.";
  const counts = [
    [result?.leasesPurged, "leases"],
    [result?.waitersPurged, "waiters"],
    [result?.sessionsPurged, "sessions"],
    [result?.countersPurged, "counters"],
  ].filter(([count]) => Number(count) > 0);
  return counts.length === 0
    ? "There was nothing to sweep."
    : `Swept: ${counts.map(([count, what]) => `${String(count)} ${String(what)}`).join(", ")}.`;
}
