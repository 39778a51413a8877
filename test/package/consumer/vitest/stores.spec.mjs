import { memoryStore } from "leasehold/store";
import { storeConformance } from "leasehold/testing";
import { describe, it } from "vitest";

storeConformance({ describe, it, create: () => memoryStore() });
