// The store in memory, by the tests that every store has to pass.
import { describe, it } from "vitest";
import { memoryStore } from "../../src/store.js";
import { storeConformance } from "../../src/testing.js";

storeConformance({ describe, it, create: () => memoryStore() });
