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
}

/** A table of any number of rows, of which only those in view are in the document. */
export function VirtualRows<Item>(props: VirtualRowsProps<Item>): VNode {
  const { label, items, columns, keyOf, sort, onSort, onOpen, empty } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const head = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600, rowHeight: 40, headHeight: 40 });
  const [active, setActive] = useState(0);
  const shouldFocus = useRef(false);
  const current = Math.min(active, Math.max(0, items.length - 1));

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
  useEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const first = Math.max(0, Math.floor(view.top / view.rowHeight) - BEYOND);
  const last = Math.min(items.length, Math.ceil((view.top + view.height) / view.rowHeight) + BEYOND);

  useLayoutEffect(() => {
    if (!shouldFocus.current) return;
    const row = scroller.current?.querySelector<HTMLElement>(`[data-index="${current}"]`);
    if (row) {
      shouldFocus.current = false;
      row.focus({ preventScroll: true });
    }
  });

  const go = (index: number): void => {
    const next = Math.max(0, Math.min(items.length - 1, index));
    const element = scroller.current;
    if (element !== null) {
      const [top, bottom] = [next * view.rowHeight, (next + 1) * view.rowHeight];
      if (top < element.scrollTop) element.scrollTop = top;
      if (bottom > element.scrollTop + view.height) element.scrollTop = bottom - view.height;
    }
    shouldFocus.current = true;
    setActive(next);
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
                    tabIndex={index === current ? 0 : -1}
                    onFocus={() => setActive(index)}
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
