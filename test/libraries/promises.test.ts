import { createDatabase } from "../support/database.js";
import { testLostConnections } from "../transactions/lost-connections.js";
import { testPromises } from "../transactions/promises.js";
import { libraries } from "./libraries.js";

const database = await createDatabase();
await database.sql`create table written (what text not null)`;

testPromises(libraries, database);
testLostConnections(libraries, database);
