// The statements of a connection that have no answer: each has its own time, and one that is silent ends the connection.
import { expect, test } from "vitest";
import { LinkClosed, NeverSent } from "../../../src/postgres/connection/link-closed.js";
import { type Statement, Unanswered } from "../../../src/postgres/connection/unanswered.js";
import { RequestTimeout } from "../../../src/runtime/timeout.js";
import { clock } from "../manual-clock.js";

/** What was rejected, and when the connection was cut. */
class Connection {
  readonly rejected = new Map<string, unknown>();
  readonly silentAtMs: number[] = [];
  readonly #startMs = clock.monotonicMs;
  readonly unanswered: Unanswered = new Unanswered(() => {
    this.silentAtMs.push(clock.monotonicMs - this.#startMs);
    this.unanswered.rejectAll(new LinkClosed("cut"));
  });

  send(name: string, timeoutMs: number, isSent = true): Statement {
    const statement: Statement = {
      timeoutMs,
      dueAtMs: clock.monotonicMs + timeoutMs,
      resolve: () => undefined,
      reject: (error) => this.rejected.set(name, error),
      isSent,
      previous: null,
      next: null,
    };
    this.unanswered.add(statement);
    this.unanswered.due.by(statement.dueAtMs);
    return statement;
  }
}

test("a statement that is silent is rejected at its time, and the connection is cut: the others have no answer either", async () => {
  const connection = new Connection();
  connection.send("long", 5_000);
  connection.send("short", 1_000);
  connection.send("not sent yet", 5_000, false);

  await clock.pass(999);
  expect(connection.rejected.size).toBe(0);
  await clock.pass(1);

  expect(connection.silentAtMs).toEqual([1_000]);
  expect(connection.rejected.get("short")).toEqual(new RequestTimeout("no answer within 1000 ms"));
  expect(connection.rejected.get("short")).toBeInstanceOf(RequestTimeout);
  expect(connection.rejected.get("long")).toEqual(new LinkClosed("cut"));
  expect(connection.rejected.get("long")).not.toBeInstanceOf(NeverSent);
  expect(connection.rejected.get("not sent yet")).toBeInstanceOf(NeverSent);
  expect(connection.unanswered.size).toBe(0);
});

test("those whose time is up together are rejected together", async () => {
  const connection = new Connection();
  connection.send("one", 1_000);
  connection.send("other", 1_000);

  await clock.pass(1_000);

  expect(connection.silentAtMs).toEqual([1_000]);
  expect(connection.rejected.get("one")).toBeInstanceOf(RequestTimeout);
  expect(connection.rejected.get("other")).toBeInstanceOf(RequestTimeout);
});

test("the timer of one that was answered watches the next one", async () => {
  const connection = new Connection();
  const answered = connection.send("answered", 1_000);
  connection.send("silent", 3_000);
  connection.unanswered.remove(answered);

  await clock.pass(2_999);
  expect([connection.unanswered.has(answered), connection.silentAtMs]).toEqual([false, []]);
  await clock.pass(1);

  expect(connection.silentAtMs).toEqual([3_000]);
  expect([...connection.rejected.keys()]).toEqual(["silent"]);
});

test("a statement without a limit is awaited until the connection dies", async () => {
  const connection = new Connection();
  connection.send("heartbeat", Number.POSITIVE_INFINITY);

  await clock.pass(3_600_000);
  expect(connection.rejected.size).toBe(0);
  connection.unanswered.rejectAll(new LinkClosed("the connection was closed"));

  expect(connection.rejected.get("heartbeat")).toEqual(new LinkClosed("the connection was closed"));
});
