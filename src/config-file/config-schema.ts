import type { JsonObject } from "../api/metadata.js";
import { configOptions } from "./options.js";
import { schemaOf } from "./table.js";

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
