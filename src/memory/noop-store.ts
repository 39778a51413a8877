import type { StoreFactory } from "../api/store.js";
export function noopStore(): StoreFactory {
  throw new Error("not yet");
}
