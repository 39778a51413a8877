// What a store answers to a request for several keys.
import type { LockerOptions } from "../../src/index.js";
import type { AcquireAllAnswer, AcquireAllRequest } from "../../src/store/messages.js";
import { type FakeBackend, holder, released } from "./fake-backend.js";
import { settle } from "./manual-clock.js";
import { openFake } from "./open.js";
import { watch } from "./outcome.js";

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

/** A set of these keys that was refused at once, has the first `count` in line now, and waits for the next. */
export async function inLine(keys: readonly string[], count: number, options: LockerOptions) {
  const opened = openFake(options);
  const { backend, locker } = opened;
  backend.abandons.reply = () => released;
  const set = watch(locker.acquireAll(keys), "the set");
  await settle();
  const tried = backend.sets.take();
  tried.answer(answer(backend, tried.request, 0));
  await settle();
  const prefix = backend.sets.take();
  prefix.answer(answer(backend, prefix.request, count));
  await settle();
  const waiting = backend.attempts.take();
  return { ...opened, set, tried, prefix, waiting };
}
