import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Sweep } from "./acts/sweep.js";
import { Command } from "./parts/copy.js";
import { Dialog } from "./parts/dialog.js";
import { Name } from "./parts/text.js";
import { useStore } from "./parts/use-store.js";
import { firstPlace } from "./parts/virtual-rows.js";
import { hrefOf, type Route, toRoute } from "./state/route.js";
import type { Store } from "./state/store.js";
import { nextTheme, type Theme, themeNow, useTheme } from "./state/theme.js";
import { visibleName } from "./state/visible.js";
import { Graph } from "./views/graph.js";
import { KeyView } from "./views/key.js";
import { firstChoice, Now } from "./views/now.js";
import { OverTime } from "./views/over-time.js";
import { Sessions } from "./views/sessions.js";

const tabs = [
  { view: "now", title: "Now" },
  { view: "sessions", title: "Sessions" },
  { view: "graph", title: "Deadlocks" },
  { view: "time", title: "Over time" },
] as const;

export function App({ store }: { readonly store: Store }): VNode {
  const now = useStore(store);
  const [route, setRoute] = useState<Route>(() => toRoute(location.hash));
  const [choice, setChoice] = useState(firstChoice);
  const [places] = useState(() => ({ now: firstPlace(), sessions: firstPlace() }));
  const wantsSearch = useRef(false);
  const isFirst = useRef(true);
  const [open, setOpen] = useState<"help" | "sweep" | null>(null);
  const [theme, setTheme] = useState<Theme>(themeNow);
  useTheme(theme);

  useEffect(() => {
    const move = (): void => {
      setRoute(toRoute(location.hash));
      window.scrollTo(0, 0);
    };
    window.addEventListener("hashchange", move);
    return () => window.removeEventListener("hashchange", move);
  }, []);
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      const isTyping = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
      if (event.key === "Escape" && isTyping) (event.target as HTMLElement).blur();
      else if (isTyping) return;
      else if (event.key === "Escape" && toRoute(location.hash).view === "key") location.hash = hrefOf({ view: "now" });
      else if (event.key === "?") setOpen("help");
      else if (event.key === "/") {
        event.preventDefault();
        const search = document.getElementById("search");
        // By the address, which is ahead of what is drawn: a view that is about to go keeps no focus
        wantsSearch.current = search === null || toRoute(location.hash).view !== "now";
        if (wantsSearch.current) location.hash = hrefOf({ view: "now" });
        else search?.focus();
      } else {
        const tab = tabs[Number(event.key) - 1];
        if (tab !== undefined) location.hash = hrefOf(tab);
      }
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, []);
  useEffect(() => {
    const name = route.view === "key" ? route.key : (tabs.find(({ view }) => view === route.view)?.title ?? "");
    document.title = `${visibleName(name)} - Leasehold`;
    // What had the focus may have gone with the view before
    if (wantsSearch.current && route.view === "now") {
      wantsSearch.current = false;
      document.getElementById("search")?.focus();
    } else if (!isFirst.current && document.activeElement === document.body) {
      document.getElementById("main")?.focus({ preventScroll: true });
    }
    isFirst.current = false;
  }, [route]);

  const { hello } = store;
  const deadlocks = store.rows("deadlocks").size;
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById("main")?.focus()}>
        Skip to the content
      </button>
      <header class="top">
        <h1>Leasehold</h1>
        <p class="where">
          {hello !== null && (
            <>
              <Name>{hello.database}</Name> as <Name>{hello.role}</Name>
              {hello.isStandby && <span class="badge">standby</span>}
            </>
          )}
        </p>
        <nav aria-label="Views">
          {tabs.map((tab, index) => (
            <a
              key={tab.view}
              href={hrefOf(tab)}
              aria-current={
                route.view === tab.view || (route.view === "key" && tab.view === "now") ? "page" : undefined
              }
              title={`Press ${index + 1}`}
            >
              {tab.title}
              {tab.view === "graph" && deadlocks > 0 && <span class="alarm">{deadlocks}</span>}
            </a>
          ))}
        </nav>
        <div class="buttons">
          {hello?.acts && (
            <button type="button" onClick={() => setOpen("sweep")}>
              Sweep…
            </button>
          )}
          <button type="button" onClick={() => setTheme(nextTheme(theme))} aria-label={`Colours: ${theme}`}>
            {theme === "dark" ? "Dark" : theme === "light" ? "Light" : "Auto"}
          </button>
          <button type="button" onClick={() => setOpen("help")} aria-label="Keys and states">
            ?
          </button>
        </div>
      </header>
      <section aria-label="Connection">
        <Status store={store} now={now} />
      </section>
      <main id="main" tabIndex={-1}>
        {store.at === 0 ? (
          <Waiting store={store} />
        ) : route.view === "now" ? (
          <Now store={store} now={now} choice={choice} place={places.now} onChoice={setChoice} />
        ) : route.view === "key" ? (
          <KeyView key={route.key} store={store} now={now} name={route.key} />
        ) : route.view === "sessions" ? (
          <Sessions store={store} now={now} place={places.sessions} />
        ) : route.view === "graph" ? (
          <Graph store={store} now={now} />
        ) : (
          <OverTime store={store} />
        )}
      </main>
      {open === "help" && <Help onClose={() => setOpen(null)} />}
      {open === "sweep" && hello?.acts && <Sweep token={hello.acts.token} onClose={() => setOpen(null)} />}
    </>
  );
}

/** Whether what is shown is what is there; and what to do where it is not. */
function Status({ store, now }: { readonly store: Store; readonly now: number }): VNode {
  const { connection, trouble } = store;
  if (connection === "signed-out") {
    return (
      <div class="banner" data-kind="bad" role="alert">
        <strong>You are signed out.</strong> Open the address that <code>leasehold ui</code> prints; each is good for
        one browser.
      </div>
    );
  }
  if (connection === "silent") {
    return (
      <div class="banner" data-kind="bad" role="alert">
        <strong>The inspector does not answer.</strong> Trying again every second. Is it still running?
        {store.at > 0 && " What you see is what it was."}
      </div>
    );
  }
  if (trouble !== null) {
    const titles = {
      disconnected: "Postgres cannot be reached.",
      "no-rights": "This role may not look.",
      "not-migrated": "The schema is not there, or of another version.",
      other: "It cannot be read.",
    };
    return (
      <div class="banner" data-kind="bad" role="alert">
        <strong>{titles[trouble.kind]}</strong> {trouble.message}
        {trouble.statement !== null && <Command label="gives the right" text={trouble.statement} />}
        {trouble.kind === "not-migrated" && <Command label="makes the schema" text="npx leasehold migrate" />}
        {store.at > 0 && <p>What you see is what it was.</p>}
      </div>
    );
  }
  const ageMs = store.at === 0 ? null : now - store.at;
  return (
    <p class="live" data-late={(ageMs !== null && ageMs > 5_000) || undefined}>
      <span class="dot" aria-hidden="true" />
      {ageMs === null ? "Asking Postgres…" : ageMs > 5_000 ? `As it was ${Math.round(ageMs / 1_000)} s ago` : "Live"}
      {store.readMs > 500 && `, each look takes ${store.readMs} ms`}
    </p>
  );
}

function Waiting({ store }: { readonly store: Store }): VNode {
  return (
    <div class="empty" aria-busy={store.trouble === null}>
      <strong>
        {store.trouble === null && store.connection !== "signed-out" ? "Asking Postgres…" : "Nothing to show yet."}
      </strong>
      <p>{store.trouble === null ? "The first look takes a moment." : "It appears here as soon as it can be read."}</p>
    </div>
  );
}

function Help({ onClose }: { onClose(): void }): VNode {
  const keys = [
    ["1 to 4", "the views"],
    ["/", "search"],
    ["↑ ↓ j k", "from row to row"],
    ["Page, Home, End", "further"],
    ["Enter", "open a key"],
    ["Esc", "back"],
    ["?", "this help"],
  ];
  return (
    <Dialog title="Keys" onClose={onClose}>
      <dl class="facts">
        {keys.map(([key, what]) => (
          <div class="fact" key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <form method="dialog" class="buttons">
        <button type="submit">Close</button>
      </form>
    </Dialog>
  );
}
