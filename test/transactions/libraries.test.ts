import { createDatabase } from "../support/database.js";
import { libraries } from "./libraries.js";
import { testPromises } from "./promises.js";

const database = await createDatabase();
await database.sql`create table written (what text not null)`;

testPromises(libraries, database);
