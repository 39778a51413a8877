// What a store answers to a request for several keys.
import type { AcquireAllAnswer, AcquireAllRequest } from "../../src/store/messages.js";
import { type FakeBackend, holder } from "./fake-backend.js";

/** An answer that grants the first `count`; the next one is held, or locked. */
export function answer(
  backend: FakeBackend,
  asked: AcquireAllRequest,
  count: number,
  outcome: "held" | "busy" = "held",
): AcquireAllAnswer {
  const grants = asked.items.slice(0, count).map(() => backend.granted(asked.terms.ttlMs));
  if (count === asked.items.length) return { outcome: "answered", grants, missing: null };
  const missing =
    outcome === "held" ? { outcome, holder: holder() } : { outcome, ticket: null, holder: holder(), blockingPid: null };
  return { outcome: "answered", grants, missing: { index: count, answer: missing } };
}
