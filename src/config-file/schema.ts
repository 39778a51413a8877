import type { JsonObject } from "../api/metadata.js";
import type { Table } from "./kind.js";
import { configOptions } from "./options.js";
import { entriesOf } from "./read-options.js";

/** JSON Schema of an object of options. */
export function schemaOf<Options>(table: Table<Options>): JsonObject {
  const properties = Object.entries(entriesOf(table)).map(([name, { kind, about }]) => [
    name,
    { description: about, ...kind.schema },
  ]);
  return { type: "object", properties: Object.fromEntries(properties), additionalProperties: false };
}

/** JSON Schema of a whole configuration: `leasehold/config.schema.json`. */
export function configSchema(): JsonObject {
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Configuration of Leasehold",
    description:
      'Options of a locker, as parseConfig of "leasehold/config" reads them. A duration is text such as "30s", "1m30s" or "500ms", or a number of milliseconds.',
    ...schemaOf(configOptions),
  };
}
