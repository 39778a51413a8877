import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { Dialog } from "../parts/dialog.js";
import { Name } from "../parts/text.js";
import { duration } from "../parts/time.js";
import { numberOf, textOf } from "../state/keys.js";
import type { Row } from "../state/store.js";
import { act } from "./act.js";

/** Asks whether to take a key from its holders, says what that does and when, and does it. */
export function ForceRelease({
  name,
  holders,
  now,
  token,
  onClose,
}: {
  readonly name: string;
  readonly holders: readonly Row<"leases">[];
  readonly now: number;
  readonly token: string;
  onClose(): void;
}): VNode {
  const [fence, setFence] = useState<string | null>(holders.length === 1 ? textOf(holders[0]?.fence) : null);
  const [isImmediate, setImmediate] = useState(false);
  const [isAware, setAware] = useState(false);
  const [told, tell] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  // Who comes while the question is asked is not meant
  const [asked] = useState(() => new Set(holders.map((holder) => holder.fence)));
  const meant = holders.filter((holder) => (fence === null ? asked.has(holder.fence) : holder.fence === fence));
  const ends = meant.flatMap(({ freeAt }) => (numberOf(freeAt) === null ? [] : [Number(freeAt)]));
  const last = ends.length === 0 ? null : Math.max(...ends) - now;

  const release = async (): Promise<void> => {
    setBusy(true);
    // Grant by grant: of the key alone, it would be taken from whoever has it by then
    const answers: unknown[] = [];
    let failure: string | null = null;
    for (const holder of meant) {
      const body = { key: name, fence: textOf(holder.fence), immediate: isImmediate };
      const { ok, answer } = await act("force-release", body, token);
      if (ok) answers.push(answer);
      else failure ??= String((answer as { error?: unknown }).error);
    }
    setBusy(false);
    tell(failure === null ? sentence(answers) : partly(failure, answers.length, meant.length));
  };
  return (
    <Dialog title="Release by force" onClose={onClose}>
      {told !== null ? (
        <>
          <p role="status">{told}</p>
          <form method="dialog" class="buttons">
            <button type="submit">Close</button>
          </form>
        </>
      ) : (
        <>
          <p>
            <strong>
              <Name>{name}</Name>
            </strong>{" "}
            {meant.length === 0 ? "has another holder now, or none: close this, and look again." : "is taken from "}
            {meant.map(({ id, owner }, index) => (
              <span key={id}>
                {index > 0 && ", "}
                <Name>{textOf(owner)}</Name>
              </span>
            ))}
            {meant.length > 0 && "."}
          </p>
          {holders.length > 1 && (
            <label class="choice">
              <span>From whom</span>
              <select value={fence ?? ""} onChange={({ currentTarget }) => setFence(currentTarget.value || null)}>
                <option value="">all who are named</option>
                {holders.map((holder) => (
                  <option key={holder.id} value={textOf(holder.fence) ?? ""}>
                    {textOf(holder.owner)}, fence {textOf(holder.fence)}
                  </option>
                ))}
              </select>
            </label>
          )}
          <fieldset class="ways">
            <legend>When</legend>
            <label>
              <input type="radio" name="when" checked={!isImmediate} onChange={() => setImmediate(false)} />
              <span>
                <strong>When its holder lets go.</strong> It can no longer renew, and is told at its next renewal.
                {last !== null && ` The key is free in ${duration(last)} at the latest.`}
              </span>
            </label>
            <label>
              <input type="radio" name="when" checked={isImmediate} onChange={() => setImmediate(true)} />
              <span>
                <strong>At once.</strong> Its holder may go on believing that it has the key, and two work at one time.
                Only what is written under its fence is protected.
              </span>
            </label>
          </fieldset>
          {isImmediate && (
            <label class="aware">
              <input
                type="checkbox"
                checked={isAware}
                onChange={({ currentTarget }) => setAware(currentTarget.checked)}
              />
              <span>I know that two may hold it.</span>
            </label>
          )}
          <form method="dialog" class="buttons">
            <button type="submit">Cancel</button>
            <button
              type="button"
              class="danger"
              disabled={isBusy || meant.length === 0 || (isImmediate && !isAware)}
              onClick={() => void release()}
            >
              {isBusy ? "Releasing…" : isImmediate ? "Free it at once" : "Take it away"}
            </button>
          </form>
        </>
      )}
    </Dialog>
  );
}

/** What is told of several: those that still have to let go say most. */
function sentence(answers: readonly unknown[]): string {
  const all = answers as readonly { outcome?: unknown; result?: { freeAt?: number | null } | null }[];
  const revoked = all.filter(({ outcome }) => outcome === "revoked");
  if (revoked.length > 0) {
    const ends = revoked.map(({ result }) => result?.freeAt ?? null).filter((freeAt) => freeAt !== null);
    const until = ends.length === 0 ? "" : `, at ${new Date(Math.max(...ends)).toLocaleTimeString()} at the latest`;
    return `It was taken away. The key is free when its holder lets go${until}.`;
  }
  return all.some(({ outcome }) => outcome === "released")
    ? "It is free, unless an open transaction keeps it."
    : "Nobody held it any more, or not with that fence.";
}

function partly(failure: string, done: number, all: number): string {
  return all === 1 ? failure : `${failure} It was taken from ${done} of ${all}.`;
}
