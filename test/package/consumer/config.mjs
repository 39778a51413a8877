// The configuration of a locker, from a file that its schema describes.
import { createRequire } from "node:module";
import { createLocker } from "leasehold";
import { configFromEnv, parseConfig } from "leasehold/config";

const schema = createRequire(import.meta.url)("leasehold/config.schema.json");
const file = { ttlMs: "10s", prefix: "shop:" };
if (!Object.keys(file).every((name) => name in schema.properties)) throw new Error("the schema lacks an option");

const locker = createLocker({ ...parseConfig(file), ...configFromEnv({ LEASEHOLD_OWNER: "me" }) });
await locker.migrate();
await locker.withLock("a", ({ key, owner, ttlMs }) => {
  if (`${key} ${owner} ${ttlMs}` !== "shop:a me 10000") throw new Error(`got ${key} ${owner} ${ttlMs}`);
});
await locker.close();
console.log("used");
