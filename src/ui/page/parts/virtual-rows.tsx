// biome-ignore-all lint/a11y/useSemanticElements: rows of a <table> cannot be left out and put in their places
// biome-ignore-all lint/a11y/useFocusableInteractive: one row takes the focus, and moves it

import type { ComponentChildren, VNode } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

/** Rows beyond the edge, so that fast scrolling shows no gap. */
const BEYOND = 8;

export interface Column<Item> {
  readonly id: string;
  readonly title: string;
  /** Numbers stand at the right. */
  readonly isNumber?: boolean;
  readonly canSort?: boolean;
  cell(item: Item): ComponentChildren;
}

/** Where somebody is in a table, for when they come back to it. */
export interface Place {
  /** Of the row that takes the focus. Null: nobody has chosen one. */
  key: string | null;
  index: number;
  top: number;
  hadFocus: boolean;
}

export function firstPlace(): Place {
  return { key: null, index: 0, top: 0, hadFocus: false };
}

export interface VirtualRowsProps<Item> {
  readonly label: string;
  readonly items: readonly Item[];
  readonly columns: readonly Column<Item>[];
  keyOf(item: Item): string;
  readonly sort: { readonly by: string; readonly isDescending: boolean };
  onSort(by: string): void;
  /** Enter on a row. */
  onOpen(item: Item): void;
  readonly empty: ComponentChildren;
  /** Is read when the table is made, and written when it goes. */
  readonly place: Place;
}

/** A table of any number of rows, of which only those in view are in the document. */
export function VirtualRows<Item>(props: VirtualRowsProps<Item>): VNode {
  const { label, items, columns, keyOf, sort, onSort, onOpen, empty, place } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const head = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600, rowHeight: 40, headHeight: 40 });
  // By its key, for rows come and go above it; where it has gone, whatever is there now
  const [active, setActive] = useState<{ readonly key: string | null; readonly index: number }>(place);
  const shouldFocus = useRef(place.hadFocus);
  const isRestoring = useRef(place.top > 0);
  const found = active.key === null ? -1 : items.findIndex((item) => keyOf(item) === active.key);
  const lastIndex = useRef(active.index);
  const current = found >= 0 ? found : Math.min(lastIndex.current, Math.max(0, items.length - 1));
  lastIndex.current = current;
  const hadFocus = hasRowFocus(scroller.current);

  const measure = (): void => {
    const element = scroller.current;
    if (element === null) return;
    const rowHeight = Number.parseFloat(getComputedStyle(element).getPropertyValue("--row-height")) || 40;
    const headHeight = head.current?.offsetHeight ?? 0;
    const next = { top: element.scrollTop, height: element.clientHeight - headHeight, rowHeight, headHeight };
    setView((was) =>
      was.top === next.top && was.height === next.height && was.rowHeight === rowHeight && was.headHeight === headHeight
        ? was
        : next,
    );
  };
  useLayoutEffect(measure, []);
  // Again when the height of rows is known
  useLayoutEffect(() => {
    if (isRestoring.current && scroller.current !== null) scroller.current.scrollTop = place.top;
    measure();
  }, [view.rowHeight]);
  useEffect(() => {
    const frame = requestAnimationFrame(() => {
      isRestoring.current = false;
    });
    return () => cancelAnimationFrame(frame);
  }, []);
  useLayoutEffect(
    () => () => {
      const element = scroller.current;
      const key = lastKey.current;
      Object.assign(place, {
        key,
        index: lastIndex.current,
        top: element?.scrollTop ?? 0,
        hadFocus: hasRowFocus(element),
      } satisfies Place);
    },
    [],
  );
  useEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const first = Math.max(0, Math.floor(view.top / view.rowHeight) - BEYOND);
  const last = Math.min(items.length, Math.ceil((view.top + view.height) / view.rowHeight) + BEYOND);

  // The row that Tab leads to: one that is in the document
  const isThere = current >= first && current < last;
  const stop = isThere ? current : Math.min(items.length - 1, Math.ceil(view.top / view.rowHeight));
  const lastKey = useRef(active.key);
  lastKey.current = active.key;

  useLayoutEffect(() => {
    // The row that had the focus has gone, or was moved: so has the focus
    const isLost = hadFocus && !hasRowFocus(scroller.current);
    if (!shouldFocus.current && !isLost) return;
    // Who asked for a row gets it as soon as it is in the document
    const wanted = shouldFocus.current ? current : stop;
    const row = scroller.current?.querySelector<HTMLElement>(`[data-index="${wanted}"]`);
    if (row) {
      shouldFocus.current = false;
      row.focus({ preventScroll: true });
    }
  });

  const activate = (index: number): void => {
    const item = items[index];
    lastIndex.current = index;
    setActive({ key: item === undefined ? null : keyOf(item), index });
  };
  const go = (index: number): void => {
    const next = Math.max(0, Math.min(items.length - 1, index));
    const element = scroller.current;
    if (element !== null) {
      const [top, bottom] = [next * view.rowHeight, (next + 1) * view.rowHeight];
      if (top < element.scrollTop) element.scrollTop = top;
      if (bottom > element.scrollTop + view.height) element.scrollTop = bottom - view.height;
    }
    shouldFocus.current = true;
    activate(next);
    measure();
  };
  const page = Math.max(1, Math.floor(view.height / view.rowHeight) - 1);
  const moves: Readonly<Record<string, number>> = {
    ArrowDown: current + 1,
    j: current + 1,
    ArrowUp: current - 1,
    k: current - 1,
    PageDown: current + page,
    PageUp: current - page,
    Home: 0,
    End: items.length - 1,
  };
  const press = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const next = moves[event.key];
    const item = items[current];
    if (next !== undefined) {
      event.preventDefault();
      go(next);
    } else if (event.key === "Enter" && item !== undefined && !(event.target instanceof HTMLAnchorElement)) {
      event.preventDefault();
      onOpen(item);
    }
  };

  return (
    <div
      class="grid"
      role="table"
      aria-label={label}
      aria-rowcount={items.length + 1}
      aria-colcount={columns.length}
      ref={scroller}
      onScroll={measure}
      onKeyDown={press}
    >
      <div role="rowgroup" class="grid-head" ref={head}>
        <div role="row" class="grid-row" aria-rowindex={1}>
          {columns.map(({ id, title, isNumber = false, canSort = true }) => (
            <span
              key={id}
              role="columnheader"
              class={`cell cell-${id}${isNumber ? " number" : ""}`}
              aria-sort={sort.by !== id ? "none" : sort.isDescending ? "descending" : "ascending"}
            >
              {canSort ? (
                <button type="button" class="sort" onClick={() => onSort(id)}>
                  {title}
                  <span aria-hidden="true" class="arrow">
                    {sort.by !== id ? "" : sort.isDescending ? " ↓" : " ↑"}
                  </span>
                </button>
              ) : (
                title
              )}
            </span>
          ))}
        </div>
      </div>
      <div role="rowgroup" class="grid-body">
        {items.length === 0 ? (
          <div role="row" class="grid-empty" aria-rowindex={2}>
            <div role="cell">{empty}</div>
          </div>
        ) : (
          <div class="grid-all" role="presentation" style={{ height: `${items.length * view.rowHeight}px` }}>
            <div
              class="grid-shown"
              role="presentation"
              style={{ transform: `translateY(${first * view.rowHeight}px)` }}
            >
              {items.slice(first, last).map((item, offset) => {
                const index = first + offset;
                return (
                  <div
                    key={keyOf(item)}
                    role="row"
                    class="grid-row"
                    aria-rowindex={index + 2}
                    data-index={index}
                    tabIndex={index === stop ? 0 : -1}
                    onFocus={() => activate(index)}
                    onDblClick={() => onOpen(item)}
                  >
                    {columns.map(({ id, title, isNumber = false, cell }) => (
                      <span
                        key={id}
                        role="cell"
                        class={`cell cell-${id}${isNumber ? " number" : ""}`}
                        data-title={title}
                      >
                        {cell(item)}
                      </span>
                    ))}
                  </div>
                );
              })}
            </div>
          </div>
        )}
      </div>
    </div>
  );
}

function hasRowFocus(scroller: HTMLElement | null): boolean {
  const row = document.activeElement?.closest("[data-index]") ?? null;
  return row !== null && scroller?.contains(row) === true;
}
