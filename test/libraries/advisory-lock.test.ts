import { testLostWaits } from "../advisory-lock/lost-connections.js";
import { testAdvisoryLocks } from "../advisory-lock/promises.js";
import { createDatabase, createEmptyDatabase } from "../support/database.js";
import { libraries } from "./libraries.js";

const database = await createEmptyDatabase();
await database.sql`create table written (what text not null)`;

testAdvisoryLocks(libraries, database);
testLostWaits(libraries, await createDatabase());
