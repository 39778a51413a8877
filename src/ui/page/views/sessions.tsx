import type { VNode } from "preact";
import { useMemo, useState } from "preact/hooks";
import { Name } from "../parts/text.js";
import { Since } from "../parts/time.js";
import { type Column, type Place, VirtualRows } from "../parts/virtual-rows.js";
import { numberOf, textOf } from "../state/keys.js";
import { hrefOf } from "../state/route.js";
import type { Row, Store } from "../state/store.js";

/** A heartbeat is sent every second or so. Without one for so long, a process that is connected is frozen. */
const SILENT_MS = 5_000;
/** Keys that are named in a row; the others are counted. */
const MOST_NAMED = 3;

type Life = "alive" | "silent" | "dead";

interface SessionRow {
  readonly session: Row<"sessions">;
  readonly life: Life;
  readonly holds: readonly string[];
  readonly waits: readonly string[];
}

export function Sessions({
  store,
  now,
  place,
}: {
  readonly store: Store;
  readonly now: number;
  readonly place: Place;
}): VNode {
  const [sort, setSort] = useState({ by: "life", isDescending: false });
  // The store changes with its version
  const rows = useMemo(() => sessionRows(store), [store.version]);
  const ordered = useMemo(() => inOrder(rows, sort), [rows, sort]);
  return (
    <section class="view view-sessions" aria-labelledby="sessions-title">
      <h2 id="sessions-title">Sessions</h2>
      <p class="note">
        A process that takes locks with presence has a session. Alive: connected, and its heartbeats come. Silent:
        connected, but frozen. Dead: its connection is gone.
      </p>
      <VirtualRows
        label="Sessions"
        items={ordered}
        columns={columnsAt(now)}
        keyOf={({ session }) => session.id}
        sort={sort}
        place={place}
        onSort={(by) => setSort({ by, isDescending: sort.by === by && !sort.isDescending })}
        onOpen={({ holds, waits }) => {
          const key = holds[0] ?? waits[0];
          if (key !== undefined) location.hash = hrefOf({ view: "key", key });
        }}
        empty={
          <>
            <strong>No session is open.</strong>
            <p>
              {store.hello?.isStandby === true
                ? "This is a standby: sessions and queues exist on the primary only."
                : "Lockers with presence (the default) appear here while they are in use."}
            </p>
          </>
        }
      />
    </section>
  );
}

function sessionRows(store: Store): readonly SessionRow[] {
  const holds = grouped(
    [...store.rows("leases").values()].filter(({ state }) => state === "held" || state === "revoked"),
  );
  const waits = grouped([...store.rows("waits").values()]);
  return [...store.rows("sessions").values()].map((session) => ({
    session,
    life: session.isAlive !== true ? "dead" : store.at - Number(session.seenAt ?? 0) > SILENT_MS ? "silent" : "alive",
    holds: holds.get(session.id) ?? [],
    waits: waits.get(session.id) ?? [],
  }));
}

function grouped(
  rows: readonly { readonly key: unknown; readonly sessionId: unknown }[],
): ReadonlyMap<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { key, sessionId } of rows) {
    const id = String(sessionId);
    const keys = found.get(id) ?? [];
    keys.push(String(key));
    found.set(id, keys);
  }
  return found;
}

const lives: readonly Life[] = ["dead", "silent", "alive"];

function inOrder(
  rows: readonly SessionRow[],
  { by, isDescending }: { readonly by: string; readonly isDescending: boolean },
): readonly SessionRow[] {
  const sortValue = ({ session, life, holds, waits }: SessionRow): string | number => {
    switch (by) {
      case "life":
        return lives.indexOf(life);
      case "seen":
        return -Number(session.seenAt ?? 0);
      case "holds":
        return holds.length;
      case "waits":
        return waits.length;
      case "owner":
      case "host":
      case "version":
        return String(session[by] ?? "");
      default:
        return Number(session.id);
    }
  };
  const sign = isDescending ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [sortValue(a), sortValue(b)];
    return sign * (x < y ? -1 : x > y ? 1 : Number(a.session.id) - Number(b.session.id));
  });
}

function columnsAt(now: number): readonly Column<SessionRow>[] {
  return [
    {
      id: "life",
      title: "State",
      cell: ({ life }) => (
        <span class="badge" data-state={life}>
          {life}
        </span>
      ),
    },
    { id: "owner", title: "Owner", cell: ({ session }) => <Name>{textOf(session.owner)}</Name> },
    { id: "holds", title: "Holds", cell: ({ holds }) => <Keys keys={holds} /> },
    { id: "waits", title: "Waits for", cell: ({ waits }) => <Keys keys={waits} /> },
    {
      id: "seen",
      title: "Silent for",
      isNumber: true,
      cell: ({ session }) => <Since at={numberOf(session.seenAt)} now={now} />,
    },
    { id: "host", title: "Host", cell: ({ session }) => <Name>{textOf(session.host)}</Name> },
    { id: "version", title: "Version", cell: ({ session }) => <Name>{textOf(session.version)}</Name> },
    { id: "id", title: "Session", isNumber: true, cell: ({ session }) => session.id },
  ];
}

function Keys({ keys }: { readonly keys: readonly string[] }): VNode {
  if (keys.length === 0) return <span class="none">-</span>;
  return (
    <>
      {keys.slice(0, MOST_NAMED).map((key, index) => (
        // A process may wait for a key more than once
        <span key={index}>
          {index > 0 && ", "}
          <a href={hrefOf({ view: "key", key })} tabIndex={-1}>
            <Name>{key}</Name>
          </a>
        </span>
      ))}
      {keys.length > MOST_NAMED && <span class="more"> +{keys.length - MOST_NAMED}</span>}
    </>
  );
}
