import type { PostgresClient } from "../api/postgres-client.js";
import { InvalidOptionError } from "../errors/errors.js";

/**
 * Checks the shape, so that a client of another copy of postgres.js or node-postgres passes. A transaction, a reserved connection or
 * a single client does not.
 */
export function checkClient(value: unknown): PostgresClient {
  const members = (value ?? {}) as Readonly<Record<string, unknown>>;
  const { options } = members;
  const isMethod = (name: string): boolean => typeof members[name] === "function";
  if (typeof options === "object" && options !== null) {
    if (typeof value === "function" && isMethod("unsafe") && isMethod("end") && !("release" in value)) {
      checkColumnNames(options);
      return value as unknown as PostgresClient;
    }
    const isCounted = typeof members.totalCount === "number" && typeof members.waitingCount === "number";
    if (isCounted && isMethod("connect") && isMethod("Client")) {
      checkFormat(options);
      return value as PostgresClient;
    }
  }
  const expected =
    "a client made with postgres() or a Pool of node-postgres, not a transaction, a reserved connection or a single client";
  throw new InvalidOptionError({ option: "client", expected, received: value });
}

/** node-postgres decodes binary values as text before it hands them to a parser: what is not ASCII is lost. */
function checkFormat({ binary }: { binary?: unknown }): void {
  if (!binary) return;
  const expected = "a Pool without binary: true, with which node-postgres does not read all numbers right";
  throw new InvalidOptionError({ option: "client", expected, received: { binary } });
}

/** `postgres.camel` keeps names of one lower-case word, like all of ours. `postgres.pascal` does not. */
function checkColumnNames(options: { transform?: { column?: { from?: unknown } } }): void {
  const from = options.transform?.column?.from;
  if (typeof from !== "function" || from("fence") === "fence") return;
  const expected = "a client whose transform.column keeps a name such as fence as it is (postgres.pascal does not)";
  throw new InvalidOptionError({ option: "client", expected, received: options });
}
