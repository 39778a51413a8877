import { describe, it } from "@jest/globals";
import { memoryStore } from "leasehold/store";
import { storeConformance } from "leasehold/testing";

storeConformance({ describe, it, create: () => memoryStore() });
