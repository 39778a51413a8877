import { useEffect, useState } from "preact/hooks";
import type { Store } from "../state/store.js";

const TICK_MS = 1_000;

/** Draws anew when the store was told something, and every second, because times go on. Returns the server's clock. */
export function useStore(store: Store): number {
  const [, draw] = useState(0);
  useEffect(() => {
    let isAsked = false;
    const ask = (): void => {
      if (isAsked) return;
      isAsked = true;
      requestAnimationFrame(() => {
        isAsked = false;
        draw((count) => count + 1);
      });
    };
    const timer = window.setInterval(ask, TICK_MS);
    const stop = store.subscribe(ask);
    return () => {
      window.clearInterval(timer);
      stop();
    };
  }, [store]);
  return store.now;
}
