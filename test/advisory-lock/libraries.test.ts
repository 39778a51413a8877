import { createEmptyDatabase } from "../support/database.js";
import { libraries } from "../transactions/libraries.js";
import { testAdvisoryLocks } from "./promises.js";

const database = await createEmptyDatabase();
await database.sql`create table written (what text not null)`;

testAdvisoryLocks(libraries, database);
