import { testAdvisoryLocks } from "../advisory-lock/promises.js";
import { createEmptyDatabase } from "../support/database.js";
import { libraries } from "./libraries.js";

const database = await createEmptyDatabase();
await database.sql`create table written (what text not null)`;

testAdvisoryLocks(libraries, database);
