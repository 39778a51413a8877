import type { ComponentChildren, VNode } from "preact";
import { Chart } from "../parts/chart.js";
import { Name, Wide } from "../parts/text.js";
import { duration } from "../parts/time.js";
import { numberOf, textOf } from "../state/keys.js";
import { percentile, percentiles, rates, type Series, statOf } from "../state/rates.js";
import { hrefOf } from "../state/route.js";
import type { Store } from "../state/store.js";

const MOST_ROWS = 20;
const MINUTE_MS = 60_000;

/** How it went since somebody looks, and what the database remembers from before. */
export function OverTime({ store }: { readonly store: Store }): VNode {
  const { points, stats } = store;
  const last = stats.at(-1);
  const now = (index: 1 | 2 | 3): Series => ({
    times: points.map(([at]) => at / 1_000),
    values: points.map((point) => point[index]),
  });
  const rate = (value: number): string => `${value < 10 ? value.toFixed(1) : Math.round(value)}/s`;
  const perMinute = (value: number): string => `${value < 10 ? value.toFixed(1) : Math.round(value)}/min`;
  const count = (value: number): string => String(Math.round(value));
  return (
    <section class="view view-time" aria-labelledby="time-title">
      <h2 id="time-title">Over time</h2>
      <p class="note">
        The charts begin when somebody looked first, an hour ago at most. Lockers write their counters every ten
        seconds.
      </p>
      <div class="charts">
        <Chart
          title="Now"
          format={count}
          isWhole
          lines={[
            { name: "held", color: 1, series: now(1) },
            { name: "waiting", color: 2, series: now(2) },
            { name: "sessions", color: 3, series: now(3) },
          ]}
        />
        <Chart
          title="Grants"
          format={rate}
          lines={[
            { name: "granted", color: 1, series: rates(stats, ["acquired"]) },
            { name: "contended", color: 2, series: rates(stats, ["contended"]) },
            { name: "in vain", color: 4, series: rates(stats, ["refused", "timedOut"]) },
          ]}
        />
        <Chart
          title="Time until a grant"
          format={(ms) => `≤ ${duration(ms)}`}
          isLog
          lines={[
            { name: "p50", color: 1, series: percentiles(stats, "waits", 0.5) },
            { name: "p99", color: 4, series: percentiles(stats, "waits", 0.99) },
          ]}
        />
        <Chart
          title="Losses and takeovers"
          format={perMinute}
          lines={[
            {
              name: "lost",
              color: 4,
              series: rates(stats, ["lostExpired", "lostTaken", "lostMaxHold", "lostForced"], MINUTE_MS),
            },
            {
              name: "taken over",
              color: 2,
              series: rates(stats, ["takenOverExpired", "takenOverOrphaned"], MINUTE_MS),
            },
            { name: "errors", color: 3, series: rates(stats, ["errors"], MINUTE_MS) },
          ]}
        />
      </div>

      <h3>What the database remembers</h3>
      {last === undefined || numberOf(statOf(last, "since")) === null ? (
        <p class="note">Nothing was counted yet. A locker writes its counters ten seconds after it was first used.</p>
      ) : (
        <>
          <p class="note">
            Since {new Date(Number(statOf(last, "since"))).toLocaleString()}, of all processes together.
          </p>
          <dl class="totals">
            <Total name="Granted">{textOf(statOf(last, "acquired"))}</Total>
            <Total name="Contended">{textOf(statOf(last, "contended"))}</Total>
            <Total name="Refused">{textOf(statOf(last, "refused"))}</Total>
            <Total name="Timed out">{textOf(statOf(last, "timedOut"))}</Total>
            <Total name="Failed">{textOf(statOf(last, "failed"))}</Total>
            <Total name="Lost">
              {["lostExpired", "lostTaken", "lostMaxHold", "lostForced"]
                .map((name) => Number(statOf(last, name as "lostExpired")))
                .reduce((a, b) => a + b)}
            </Total>
            <Total name="Taken over">
              {Number(statOf(last, "takenOverExpired")) + Number(statOf(last, "takenOverOrphaned"))}
            </Total>
            <Total name="Wait, p50">{ofAll(statOf(last, "waits"), 0.5)}</Total>
            <Total name="Wait, p99">{ofAll(statOf(last, "waits"), 0.99)}</Total>
            <Total name="Held, p50">{ofAll(statOf(last, "holds"), 0.5)}</Total>
            <Total name="Held, p99">{ofAll(statOf(last, "holds"), 0.99)}</Total>
          </dl>
        </>
      )}

      <div class="columns">
        <div>
          <h3>Hot keys of the last hour</h3>
          <Counts
            heads={["Key", "Contended", "Granted since", "Mean wait"]}
            empty="No key was contended."
            rows={[...store.rows("hotKeys").values()]
              .sort((a, b) => Number(b.contended) - Number(a.contended))
              .slice(0, MOST_ROWS)
              .map(({ id, key, contended, acquired, waitMeanMs }) => ({
                id,
                cells: [
                  <a key="key" href={hrefOf({ view: "key", key: String(key) })}>
                    <Name>{String(key)}</Name>
                  </a>,
                  textOf(contended),
                  textOf(acquired),
                  numberOf(waitMeanMs) === null ? "-" : duration(Number(waitMeanMs)),
                ],
              }))}
          />
        </div>
        <div>
          <h3>By prefix</h3>
          <Counts
            heads={["Prefix", "Granted", "Contended", "In vain"]}
            empty="Nothing was counted yet."
            rows={[...store.rows("prefixes").values()]
              .sort((a, b) => Number(b.acquired) - Number(a.acquired))
              .slice(0, MOST_ROWS)
              .map(({ id, prefix, acquired, contended, refused, timedOut }) => ({
                id,
                cells: [
                  prefix === null ? "all others" : <Name key="prefix">{String(prefix)}</Name>,
                  textOf(acquired),
                  textOf(contended),
                  Number(refused) + Number(timedOut),
                ],
              }))}
          />
        </div>
      </div>
    </section>
  );
}

function Total({ name, children }: { readonly name: string; readonly children: ComponentChildren }): VNode {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function ofAll(counts: unknown, share: number): string {
  const found = percentile(Array.isArray(counts) ? counts.map(Number) : [], share);
  return found === null ? "-" : `≤ ${duration(found)}`;
}

function Counts({
  heads,
  rows,
  empty,
}: {
  readonly heads: readonly string[];
  readonly rows: readonly { readonly id: string; readonly cells: readonly ComponentChildren[] }[];
  readonly empty: string;
}): VNode {
  if (rows.length === 0) return <p class="note">{empty}</p>;
  return (
    <Wide label={heads[0] ?? ""}>
      <table>
        <thead>
          <tr>
            {heads.map((head, index) => (
              <th key={head} scope="col" class={index > 0 ? "number" : undefined}>
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ id, cells }) => (
            <tr key={id}>
              {cells.map((cell, index) => (
                <td key={heads[index]} class={index > 0 ? "number" : undefined}>
                  {cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Wide>
  );
}
