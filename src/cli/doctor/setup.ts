import { OLDEST_MAJOR, OLDEST_NUMBER } from "../../postgres/connection/server-version.js";
import { quoteIdentifier, quoteLiteral } from "../../runtime/quote.js";
import type { Facts } from "./facts.js";
import { type Finding, ok, problem, warning } from "./finding.js";

/** Whether this client, this role and this address work with the server. */
export function setupFindings(facts: Facts): readonly (Finding | null)[] {
  return [versions(facts), standby(facts), schema(facts), permissions(facts), connection(facts)];
}

const UNTRIED = 190_000;

function versions({ client, server }: Facts): Finding {
  const message = `leasehold ${client.version}, ${client.runtime}, Postgres ${server.version}`;
  if (server.versionNumber < OLDEST_NUMBER)
    return problem("versions", message, `Leasehold needs Postgres ${OLDEST_MAJOR} or newer: upgrade the server.`);
  if (server.versionNumber >= UNTRIED)
    return warning(
      "versions",
      message,
      "Leasehold was tried with Postgres 14 to 18: look for a newer version of the package.",
    );
  return ok("versions", message);
}

function standby({ server }: Facts): Finding {
  return server.isStandby
    ? problem(
        "standby",
        "This server is a standby: it cannot grant a lease.",
        "Connect to the primary; an address may name several hosts, with target_session_attrs=read-write.",
      )
    : ok("standby", "This server is a primary.");
}

function schema({ schema, rights }: Facts): Finding {
  if (!rights.schemaExists)
    return problem("schema", "This database has no schema leasehold.", "Run: leasehold migrate");
  if (schema === null && rights.mayLock) {
    return problem(
      "schema",
      "The schema was restored without its data: rows that it needs are missing.",
      "Run: leasehold migrate",
    );
  }
  if (schema === null) return ok("schema", "The schema is there; its version cannot be asked by this role.");
  if (schema.version < schema.needed) {
    return problem(
      "schema",
      `The schema has version ${schema.version}, this client needs ${schema.needed}.`,
      "Run: leasehold migrate",
    );
  }
  if (schema.minClient > schema.own) {
    return problem(
      "schema",
      `The schema has version ${schema.version} and needs a newer client.`,
      "Update the package leasehold.",
    );
  }
  return ok("schema", `The schema has version ${schema.version}.`);
}

function permissions({ rights, server }: Facts): Finding | null {
  if (!rights.schemaExists) {
    if (rights.mayCreate) return ok("permissions", `${server.role} may create the schema.`);
    const grant = `grant create on database ${quoteIdentifier(server.database)} to ${quoteIdentifier(server.role)};`;
    return problem(
      "permissions",
      `${server.role} may not create the schema.`,
      `Migrate as a role that may, or run: ${grant}`,
    );
  }
  if (rights.mayLock)
    return ok("permissions", `${server.role} may lock${rights.mayLook ? " and read the views" : ""}.`);
  const grant = `select leasehold.grant_usage(${quoteLiteral(server.role)});`;
  return rights.mayLook
    ? warning(
        "permissions",
        `${server.role} may read the views, but not lock.`,
        `If it is to lock, run as the schema's owner: ${grant}`,
      )
    : problem(
        "permissions",
        `${server.role} may neither lock nor read the views.`,
        `Run as the schema's owner: ${grant}`,
      );
}

function connection({ refusal, isDirect }: Facts): Finding {
  if (refusal !== null) return problem("connection", refusal.message, null);
  return isDirect
    ? ok("connection", "The connection leads to Postgres itself.")
    : ok("connection", "A pooler or proxy stands in between, which leaves each connection its server process.");
}
