import type { ConnectionOptions } from "../api/connection-options.js";
import type { JsonObject } from "../api/metadata.js";
import { checkConnectionOptions } from "../config/connection-options.js";
import { InvalidOptionError } from "../errors/errors.js";
import type { Kind } from "./kind.js";
import { fromJson } from "./kinds.js";

const text = { type: "string", minLength: 1, pattern: "^[^\\u0000]+$" };

/** What a configuration can have of them, as a schema. Null: a function. */
const schemas: { readonly [Name in keyof Required<ConnectionOptions>]: JsonObject | null } = {
  host: { description: "The server's name or IP address.", ...text },
  port: { description: "Default 5432.", type: "integer", minimum: 1, maximum: 65_535 },
  path: { description: "The path of a unix socket.", ...text },
  database: { description: "In place of the address's own.", ...text },
  user: { description: "In place of the address's own.", ...text },
  username: { description: "Another name for user.", ...text },
  password: { description: "Better kept in the environment than in a file.", type: "string" },
  ssl: {
    description:
      "In place of the address's sslmode. true verifies the server in full; an object has options of Node's tls.connect.",
    anyOf: [{ type: "boolean" }, { enum: ["require", "allow", "prefer", "verify-full"] }, { type: "object" }],
  },
  sslnegotiation: { description: "direct starts TLS at once.", enum: ["postgres", "direct"] },
  keep_alive: { description: "TCP keepalive, in seconds.", type: "integer", minimum: 1, maximum: 86_400 },
  target_session_attrs: {
    description: "Of several hosts, the one that accepts writes.",
    enum: ["read-write", "primary"],
  },
  onnotice: null,
  connection: {
    description: "Start-up parameters, such as application_name.",
    type: "object",
    additionalProperties: { anyOf: [text, { type: ["number", "boolean"] }] },
  },
};

/** Options of postgres.js, with the checks of createLocker. */
export const connection: Kind<ConnectionOptions> = {
  schema: {
    type: "object",
    properties: Object.fromEntries(Object.entries(schemas).filter(([, schema]) => schema !== null)),
    additionalProperties: false,
  },
  read(value, path) {
    const options = checkConnectionOptions(value, path);
    for (const name of ["password", "onnotice"] as const) {
      const option = `${path}.${name}`;
      if (typeof options[name] !== "function") continue;
      throw new InvalidOptionError({
        option,
        expected: "text: a configuration has no functions",
        received: options[name],
      });
    }
    return options;
  },
  fromText: fromJson,
};
