import type { AcquireAnswer, Grant, Holder } from "../store/messages.js";

export type Granted = { readonly outcome: "granted" } & Grant;

export interface NotGranted {
  /** timeout: `waitMs` was over · exhausted: the retry strategy gave up */
  readonly outcome: "held" | "busy" | "timeout" | "exhausted";
  readonly holder: Holder | null;
  readonly blockingPid: number | null;
  /** How often it was tried. */
  readonly tries: number;
}

/** An answer about the key. The other answers say that nothing was done. */
export type SettledAnswer = Exclude<AcquireAnswer, { outcome: "late" | "unproven" }>;

export function settled(answer: AcquireAnswer | null): SettledAnswer | null {
  return answer === null || answer.outcome === "late" || answer.outcome === "unproven" ? null : answer;
}

export function refusal(
  outcome: NotGranted["outcome"],
  answer: { readonly holder: Holder | null; readonly blockingPid?: number | null },
): NotGranted {
  return { outcome, holder: answer.holder, blockingPid: answer.blockingPid ?? null, tries: 1 };
}
