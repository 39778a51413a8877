import type { Hello, StateMessage, Trouble } from "../../protocol.js";
import { addressOf } from "./address.js";
import type { Store } from "./store.js";

const AGAIN_MS = 1_000;

/** Listens to the server for as long as the page is seen. A page in the background costs the database nothing. */
export function connect(store: Store): void {
  let source: EventSource | null = null;
  let timer = 0;

  const close = (): void => {
    window.clearTimeout(timer);
    source?.close();
    source = null;
  };
  const open = (): void => {
    close();
    const opened = new EventSource(addressOf("events"));
    source = opened;
    opened.addEventListener("hello", ({ data }) => store.greeted(JSON.parse(data) as Hello));
    opened.addEventListener("state", ({ data }) => store.take(JSON.parse(data) as StateMessage));
    opened.addEventListener("trouble", ({ data }) => store.troubled(JSON.parse(data) as Trouble));
    opened.addEventListener("error", () => {
      // Opened anew by hand: a browser gives up for good when an answer is not the one that it expects.
      close();
      void isSignedOut().then((isOut) => {
        if (source !== null || document.hidden) return;
        store.connected(isOut ? "signed-out" : "silent");
        timer = window.setTimeout(open, AGAIN_MS);
      });
    });
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
    else if (source === null) open();
  });
  open();
}

async function isSignedOut(): Promise<boolean> {
  try {
    return (await fetch(addressOf("app.css"), { method: "HEAD", cache: "no-store" })).status === 401;
  } catch {
    return false;
  }
}
