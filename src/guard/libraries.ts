import { recogniseDrizzle } from "./drizzle.js";
import { recogniseKnex } from "./knex.js";
import { recogniseKysely } from "./kysely.js";
import type { Recognise, Recognised } from "./library.js";
import { recogniseMikroOrm } from "./mikro-orm.js";
import { recogniseNodePostgres } from "./node-postgres.js";
import { recognisePostgresJs } from "./postgres-js.js";
import { recognisePrisma } from "./prisma.js";
import { unknownDatabase } from "./refusals.js";
import { recogniseSequelize } from "./sequelize.js";
import { recogniseTypeOrm } from "./typeorm.js";

const libraries: readonly Recognise[] = [
  recognisePostgresJs,
  recogniseDrizzle,
  recogniseKysely,
  recognisePrisma,
  recogniseTypeOrm,
  recogniseKnex,
  recogniseMikroOrm,
  recogniseSequelize,
  recogniseNodePostgres,
];

/**
 * Recognises a database or a transaction of the user's library. `advise` says what to do with any other.
 * @throws InvalidOptionError for a value that is of no such library, or for another kind of server
 */
export function recognise(option: "db" | "tx", value: unknown, advise: () => string): Recognised {
  for (const one of libraries) {
    const recognised = one(value);
    if (recognised === null) continue;
    if ("why" in recognised) throw unknownDatabase(option, value, advise(), recognised.why);
    return recognised;
  }
  throw unknownDatabase(option, value, advise());
}
