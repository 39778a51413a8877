import type { VNode } from "preact";
import { useMemo } from "preact/hooks";
import { Name, Wide } from "../parts/text.js";
import { Since } from "../parts/time.js";
import { type Drawing, drawn, MOST_EDGES, NODE_HEIGHT, type Waits, waitsOf } from "../state/graph.js";
import { numberOf } from "../state/keys.js";
import { hrefOf } from "../state/route.js";
import type { Row, Store } from "../state/store.js";
import { visibleName } from "../state/visible.js";

const MOST_CHARS = 28;

/** Who waits for whom, and who waits in a circle. */
export function Graph({ store, now }: { readonly store: Store; readonly now: number }): VNode {
  // The store changes with its version
  const waits = useMemo(() => waitsOf(store), [store.version]);
  const signature = JSON.stringify([
    [...waits.names],
    waits.edges.map(({ from, to, key, isStuck }) => [from, to, key, isStuck]),
  ]);
  // Laid out anew only where somebody else waits
  const drawing = useMemo(() => drawn(waits, short), [signature]);
  const deadlocks = [...store.rows("deadlocks").values()];
  return (
    <section class="view view-graph" aria-labelledby="graph-title">
      <h2 id="graph-title">Who waits for whom</h2>
      {deadlocks.length > 0 && (
        <div class="deadlocks">
          <p class="unseen" role="alert">
            There is a deadlock.
          </p>
          <h3>{deadlocks.length === 1 ? "A deadlock" : `${deadlocks.length} deadlocks`}</h3>
          {deadlocks.map((deadlock) => (
            <Deadlock key={deadlock.id} deadlock={deadlock} now={now} />
          ))}
          <p class="note">
            It ends when one of these waits times out, or when a lock is released by force. One process that does many
            things at once may be shown here for a moment without being stuck.
          </p>
        </div>
      )}
      {waits.total === 0 ? (
        <div class="empty">
          <strong>Nobody waits for anybody.</strong>
          <p>As soon as somebody waits for a key that somebody else has, both appear here.</p>
        </div>
      ) : (
        <>
          {waits.total > MOST_EDGES && (
            <p class="note">
              {MOST_EDGES} of {waits.total} waits are drawn: those in a deadlock, and the longest.
            </p>
          )}
          <Picture drawing={drawing} names={waits.names} />
          <Words waits={waits} now={now} />
        </>
      )}
    </section>
  );
}

function Deadlock({ deadlock, now }: { readonly deadlock: Row<"deadlocks">; readonly now: number }): VNode {
  const owners = Array.isArray(deadlock.owners) ? deadlock.owners.map(String) : [];
  const keys = Array.isArray(deadlock.keys) ? deadlock.keys.map(String) : [];
  return (
    <p>
      For <Since at={numberOf(deadlock.since)} now={now} />:{" "}
      {owners.map((owner, index) => (
        // A process may be in it more than once
        <span key={index}>
          {index > 0 && "; "}
          <strong>
            <Name>{owner}</Name>
          </strong>{" "}
          waits for{" "}
          <a href={hrefOf({ view: "key", key: keys[index] ?? "" })}>
            <Name>{keys[index] ?? null}</Name>
          </a>
          , held by{" "}
          <strong>
            <Name>{owners[(index + 1) % owners.length] ?? null}</Name>
          </strong>
        </span>
      ))}
    </p>
  );
}

/** The same is told in words below it. */
function Picture({
  drawing,
  names,
}: {
  readonly drawing: Drawing;
  readonly names: ReadonlyMap<string, string>;
}): VNode {
  const { width, height, nodes, lines } = drawing;
  return (
    <Wide label="A drawing of who waits for whom" kind="picture">
      <svg
        role="img"
        aria-label="Who waits for whom. The table below says the same."
        viewBox={`0 0 ${Math.ceil(width)} ${Math.ceil(height)}`}
        width={Math.ceil(width)}
        height={Math.ceil(height)}
      >
        <defs>
          {["usual", "stuck"].map((kind) => (
            <marker
              key={kind}
              id={`arrow-${kind}`}
              viewBox="0 0 8 8"
              refX="7"
              refY="4"
              markerWidth="7"
              markerHeight="7"
              orient="auto-start-reverse"
            >
              <path d="M0 0L8 4L0 8z" class={`arrow-${kind}`} />
            </marker>
          ))}
        </defs>
        {lines.map(({ edge, points, x, y }) => {
          const kind = edge.isStuck ? "stuck" : "usual";
          return (
            <g key={`${edge.from} ${edge.to} ${edge.key}`} class={`edge ${kind}`}>
              <path
                d={`M${points.map(({ x, y }) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`}
                marker-end={`url(#arrow-${kind})`}
              />
              <text x={x} y={y + 4}>
                {short(edge.key)}
              </text>
            </g>
          );
        })}
        {nodes.map(({ id, x, y, width }) => (
          <g
            key={id}
            class="node"
            transform={`translate(${(x - width / 2).toFixed(1)} ${(y - NODE_HEIGHT / 2).toFixed(1)})`}
          >
            <rect width={width} height={NODE_HEIGHT} rx="8" />
            <text x={width / 2} y={NODE_HEIGHT / 2 + 4}>
              {short(names.get(id) ?? id)}
            </text>
          </g>
        ))}
      </svg>
    </Wide>
  );
}

function Words({ waits, now }: { readonly waits: Waits; readonly now: number }): VNode {
  return (
    <Wide label="The same in words">
      <table>
        <thead>
          <tr>
            <th scope="col">Who waits</th>
            <th scope="col">For the key</th>
            <th scope="col">Held by</th>
            <th scope="col" class="number">
              For
            </th>
          </tr>
        </thead>
        <tbody>
          {waits.edges.map(({ from, to, key, since, isStuck }) => (
            <tr key={`${from} ${to} ${key} ${since}`} data-stuck={isStuck || undefined}>
              <td>
                <Name>{waits.names.get(from) ?? null}</Name>
              </td>
              <td>
                <a href={hrefOf({ view: "key", key })}>
                  <Name>{key}</Name>
                </a>
              </td>
              <td>
                <Name>{waits.names.get(to) ?? null}</Name>
              </td>
              <td class="number">
                <Since at={since} now={now} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Wide>
  );
}

function short(name: string): string {
  const text = visibleName(name);
  return text.length <= MOST_CHARS ? text : `${text.slice(0, MOST_CHARS / 2 - 1)}…${text.slice(-MOST_CHARS / 2)}`;
}
