import { createLocker, type LockerOptions } from "leasehold";
import { type ConfigOptions, configFromEnv, parseConfig } from "leasehold/config";

const options: ConfigOptions = {};
const file: LockerOptions = parseConfig(JSON.parse('{ "ttlMs": "30s" }'), options);
createLocker({ ...file, ...configFromEnv(process.env), onError: () => {} });
