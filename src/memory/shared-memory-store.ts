import type { StoreFactory } from "../api/store.js";
export function sharedMemoryStore(): StoreFactory {
  throw new Error("not yet");
}
