import type { VNode } from "preact";
import { useMemo } from "preact/hooks";
import { Badge } from "../parts/badge.js";
import { Name } from "../parts/text.js";
import { Remaining, Since } from "../parts/time.js";
import { type Column, type Place, VirtualRows } from "../parts/virtual-rows.js";
import {
  filtered,
  type KeyRow,
  type KeySort,
  type KeyState,
  keyRows,
  keyStates,
  prefixesOf,
  sorted,
} from "../state/keys.js";
import { hrefOf } from "../state/route.js";
import type { Store } from "../state/store.js";
import { visibleName } from "../state/visible.js";

const MOST_PREFIXES = 50;

/** Every key that is held or waited for. What was chosen here is kept while another view is shown. */
export interface NowChoice {
  readonly text: string;
  readonly prefix: string;
  readonly states: ReadonlySet<KeyState>;
  readonly by: KeySort;
  readonly isDescending: boolean;
}

export const firstChoice: NowChoice = { text: "", prefix: "", states: new Set(), by: "key", isDescending: false };

export function Now({
  store,
  now,
  choice,
  place,
  onChoice,
}: {
  readonly store: Store;
  readonly now: number;
  readonly choice: NowChoice;
  readonly place: Place;
  onChoice(choice: NowChoice): void;
}): VNode {
  const all = useMemo(() => keyRows(store), [store.version]);
  const prefixes = useMemo(() => prefixesOf(all, MOST_PREFIXES), [all]);
  const rows = useMemo(() => sorted(filtered(all, choice), choice.by, choice.isDescending), [all, choice]);
  const counts = useMemo(() => countsOf(all), [all]);
  const columns = columnsAt(now);

  const toggle = (state: KeyState): void => {
    const states = new Set(choice.states);
    if (!states.delete(state)) states.add(state);
    onChoice({ ...choice, states });
  };
  return (
    <section class="view view-now" aria-labelledby="now-title">
      <h2 id="now-title" class="unseen">
        Now
      </h2>
      <div class="tools">
        <label class="search">
          <span class="unseen">Search keys and owners</span>
          <input
            type="search"
            id="search"
            placeholder="Search keys and owners  ( / )"
            autocomplete="off"
            spellcheck={false}
            value={choice.text}
            onInput={({ currentTarget }) => onChoice({ ...choice, text: currentTarget.value })}
          />
        </label>
        <label class="choice">
          <span>Prefix</span>
          <select
            value={choice.prefix}
            onChange={({ currentTarget }) => onChoice({ ...choice, prefix: currentTarget.value })}
          >
            <option value="">all</option>
            {[...new Set([...(choice.prefix === "" ? [] : [choice.prefix]), ...prefixes])].map((prefix) => (
              <option key={prefix} value={prefix}>
                {visibleName(prefix)}
              </option>
            ))}
          </select>
        </label>
        <fieldset class="states">
          <legend class="unseen">States that are shown</legend>
          {keyStates
            .filter((state) => (counts.get(state) ?? 0) > 0 || choice.states.has(state))
            .map((state) => (
              <button
                key={state}
                type="button"
                class="chip"
                data-state={state}
                aria-pressed={choice.states.has(state)}
                onClick={() => toggle(state)}
              >
                {state} <span class="count">{counts.get(state) ?? 0}</span>
              </button>
            ))}
        </fieldset>
        <p class="total">
          {rows.length === all.length ? `${all.length} keys` : `${rows.length} of ${all.length} keys`}
        </p>
      </div>
      {store.cut.size > 0 && (
        <p class="note">Only the first rows are shown, by their key. The option maxRows raises how many are read.</p>
      )}
      <VirtualRows
        label="Keys"
        items={rows}
        columns={columns}
        keyOf={({ key }) => key}
        sort={choice}
        place={place}
        onSort={(by) =>
          onChoice({ ...choice, by: by as KeySort, isDescending: choice.by === by ? !choice.isDescending : false })
        }
        onOpen={({ key }) => {
          location.hash = hrefOf({ view: "key", key });
        }}
        empty={
          all.length === 0 ? (
            <>
              <strong>Nothing is held, and nobody waits.</strong>
              <p>Keys appear here as soon as a process takes one, and go when they are free.</p>
            </>
          ) : (
            <>
              <strong>No key matches.</strong>
              <p>
                <button type="button" onClick={() => onChoice({ ...choice, text: "", prefix: "", states: new Set() })}>
                  Show all {all.length}
                </button>
              </p>
            </>
          )
        }
      />
    </section>
  );
}

function columnsAt(now: number): readonly Column<KeyRow>[] {
  return [
    {
      id: "key",
      title: "Key",
      cell: ({ key }) => (
        <a href={hrefOf({ view: "key", key })} tabIndex={-1}>
          <Name>{key}</Name>
        </a>
      ),
    },
    {
      id: "state",
      title: "State",
      cell: ({ state, isBlocked }) => (
        <>
          <Badge state={state} />
          {isBlocked && state !== "blocked" && (
            <span class="badge" data-state="blocked" title="An open transaction keeps it, too">
              in transaction
            </span>
          )}
        </>
      ),
    },
    {
      id: "owner",
      title: "Holder",
      cell: ({ owner, holders }) => (
        <>
          <Name>{owner}</Name>
          {holders > 1 && <span class="more"> +{holders - 1}</span>}
        </>
      ),
    },
    { id: "since", title: "Held for", isNumber: true, cell: ({ since }) => <Since at={since} now={now} /> },
    {
      id: "freeAt",
      title: "Remaining",
      cell: ({ freeAt, ttlMs }) => <Remaining until={freeAt} ttlMs={ttlMs} now={now} />,
    },
    { id: "fence", title: "Fence", isNumber: true, cell: ({ fence }) => fence ?? <span class="none">-</span> },
    { id: "waiters", title: "Waiters", isNumber: true, cell: ({ waiters }) => waiters },
  ];
}

function countsOf(rows: readonly KeyRow[]): ReadonlyMap<KeyState, number> {
  const counts = new Map<KeyState, number>();
  for (const { state } of rows) counts.set(state, (counts.get(state) ?? 0) + 1);
  return counts;
}
