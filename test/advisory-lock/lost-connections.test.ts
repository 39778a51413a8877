import { createDatabase } from "../support/database.js";
import { libraries } from "../transactions/libraries.js";
import { testLostWaits } from "./lost-connections.js";

testLostWaits(libraries, await createDatabase());
