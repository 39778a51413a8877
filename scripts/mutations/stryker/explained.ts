// Faults that Stryker makes and that no test can notice, or need not: each with the reason. The command tells only of others.
import { byId } from "../explanation.js";

export const explained: ReadonlyMap<string, string> = byId([]);
