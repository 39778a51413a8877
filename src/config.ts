export { configFromEnv } from "./config-file/config-from-env.js";
export { type ConfigOptions, parseConfig } from "./config-file/parse-config.js";
