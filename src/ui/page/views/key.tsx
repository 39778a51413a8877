import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { type KeyEvent, leaseColumns } from "../../protocol.js";
import { ForceRelease } from "../acts/force-release.js";
import { Badge } from "../parts/badge.js";
import { Command } from "../parts/copy.js";
import { Fact, Name, Wide } from "../parts/text.js";
import { duration, Remaining, Since } from "../parts/time.js";
import { addressOf } from "../state/address.js";
import { numberOf, stateOf, textOf } from "../state/keys.js";
import { quoteArgument, quoteLiteral } from "../state/quote.js";
import { hrefOf } from "../state/route.js";
import { type Row, type Store, toRow } from "../state/store.js";
import { visible } from "../state/visible.js";

/** All about one key: who has it, who waits, what is in the way, what has happened, and how to free it. */
export function KeyView({
  store,
  now,
  name,
}: {
  readonly store: Store;
  readonly now: number;
  readonly name: string;
}): VNode {
  const [isReleasing, setReleasing] = useState(false);
  const inView = [...store.rows("leases").values()].filter(({ key }) => key === name).sort(byAge);
  const line = [...store.rows("waits").values()].filter(({ key }) => key === name).sort(byPosition);
  const hot = [...store.rows("hotKeys").values()].find(({ key }) => key === name);
  const events = store.events.filter(({ key }) => key === name).reverse();
  const checked = useCheck(name, inView.length === 0, store.connection === "live", store.version);
  // Where not all rows are read, it may be beyond them
  const isBeyond = inView.length === 0 && store.cut.has("leases") && checked !== null && checked.fence !== null;
  const holders = isBeyond ? [leaseOf(name, checked)] : inView;
  const blockers = blockersOf(store, holders, line, checked);
  const isTaken = holders.some(isTaking);
  return (
    <section class="view view-key" aria-labelledby="key-title">
      <p class="back">
        <a href={hrefOf({ view: "now" })}>All keys</a>
      </p>
      <div class="title">
        <h2 id="key-title">
          <Name>{name}</Name>
        </h2>
        {holders[0] !== undefined ? (
          <Badge state={stateOf(holders[0])} />
        ) : checked === null ? (
          <span class="badge">asking…</span>
        ) : checked.state === "blocked" ? (
          <Badge state="blocked" />
        ) : (
          <span class="badge" data-state="free">
            {line.length > 0 ? "free, and waited for" : "free"}
          </span>
        )}
        {isTaken && store.hello?.acts && (
          <button type="button" class="danger" onClick={() => setReleasing(true)}>
            Release by force…
          </button>
        )}
      </div>
      {isReleasing && store.hello?.acts && (
        <ForceRelease
          name={name}
          holders={holders.filter(isTaking)}
          now={now}
          token={store.hello.acts.token}
          onClose={() => setReleasing(false)}
        />
      )}

      <h3>Who has it</h3>
      {holders.length === 0 ? (
        <p class="note">
          {checked === null
            ? "Postgres is being asked."
            : checked.state === "blocked"
              ? "An open transaction has been granted it, and has not committed: no view can show more."
              : "Nobody has it."}
        </p>
      ) : (
        holders.map((holder) => <Holder key={holder.id} holder={holder} now={now} />)
      )}

      <h3>Who waits</h3>
      {line.length === 0 ? (
        <p class="note">
          {store.cut.has("waits") ? "Not all who wait are read: perhaps somebody waits." : "Nobody waits."}
        </p>
      ) : (
        <Line line={line} now={now} />
      )}

      {blockers.length > 0 && (
        <>
          <h3>What is in the way</h3>
          {blockers.map((blocker) => (
            <Blocker key={blocker.name} blocker={blocker} now={now} />
          ))}
        </>
      )}

      <h3>How to free it</h3>
      <Ways name={name} isTaken={isTaken} blockers={blockers} />

      <h3>What has happened</h3>
      {hot !== undefined && (
        <p class="note">
          Contended {String(hot.contended)} times in the last hour or two, and granted {String(hot.acquired)} times
          since
          {numberOf(hot.waitMeanMs) !== null && ` with a mean wait of ${duration(Number(hot.waitMeanMs))}`}.
        </p>
      )}
      {events.length === 0 ? (
        <p class="note">Nothing since somebody has looked. What begins and ends between two looks is not seen.</p>
      ) : (
        <Happened events={events} now={now} />
      )}
    </section>
  );
}

/** What a release by force ends. */
function isTaking({ state }: Row<"leases">): boolean {
  return state === "held" || state === "revoked" || state === "cooling";
}

function Holder({ holder, now }: { readonly holder: Row<"leases">; readonly now: number }): VNode {
  const { state, owner, fence, acquiredAt, expiresAt, freeAt, ttlMs, maxHoldUntil, capacity, weight } = holder;
  const metadata = metadataOf(holder);
  const isHolding = state === "held" || state === "revoked";
  return (
    <article class="card">
      <header>
        {!isHolding && <span class="more">last held by</span>}
        <strong>
          <Name>{textOf(owner)}</Name>
        </strong>
        <Badge state={stateOf(holder)} />
        {numberOf(freeAt) !== null && <Remaining until={numberOf(freeAt)} ttlMs={numberOf(ttlMs)} now={now} />}
      </header>
      <dl class="facts">
        <Fact name="Fence">{textOf(fence)}</Fact>
        {numberOf(acquiredAt) !== null && (
          <Fact name={isHolding ? "Held for" : "Granted"}>
            <Since at={numberOf(acquiredAt)} now={now} />
            {!isHolding && " ago"}
          </Fact>
        )}
        {state === "expired" && (
          <Fact name="Expired">
            <Since at={numberOf(expiresAt)} now={now} /> ago
          </Fact>
        )}
        {numberOf(ttlMs) !== null && <Fact name="TTL">{duration(Number(ttlMs))}</Fact>}
        {numberOf(maxHoldUntil) !== null && <Fact name="At most">{duration(Number(maxHoldUntil) - now)} more</Fact>}
        {capacity !== null && (
          <Fact name="Weight">
            {String(weight)} of {String(capacity)}
          </Fact>
        )}
        {isHolding && <Fact name="Session">{sessionOf(holder)}</Fact>}
        {places.map(([name, column]) => {
          const text = textOf(holder[column]);
          return text === null || text === "" ? null : (
            <Fact key={name} name={name}>
              <Name>{text}</Name>
            </Fact>
          );
        })}
        {numberOf(holder.acquisitions) !== null && <Fact name="Grants so far">{textOf(holder.acquisitions)}</Fact>}
      </dl>
      {metadata !== null && (
        <>
          <h4>Metadata</h4>
          <pre class="metadata">{visible(metadata).replaceAll("\\u{a}", "\n")}</pre>
        </>
      )}
    </article>
  );
}

/** As it was given; text where it is only a part, or a text. */
function metadataOf({ metadata }: Row<"leases">): string | null {
  return typeof metadata === "string" || metadata === null ? metadata : JSON.stringify(metadata, null, 2);
}

const places = [
  ["Host", "host"],
  ["Address", "address"],
  ["Application", "application"],
  ["Server process", "pid"],
] as const;

function sessionOf({ sessionId, isSessionAlive }: Row<"leases">): string {
  if (sessionId === null) return "none: it lives by its TTL alone";
  const life = isSessionAlive === true ? "connected" : isSessionAlive === false ? "gone" : "not known";
  return `${String(sessionId)}, ${life}`;
}

function Line({ line, now }: { readonly line: readonly Row<"waits">[]; readonly now: number }): VNode {
  return (
    <Wide label="Who waits">
      <table>
        <thead>
          <tr>
            <th scope="col" class="number">
              #
            </th>
            <th scope="col">Who</th>
            <th scope="col">Wants</th>
            <th scope="col" class="number">
              Waiting for
            </th>
            <th scope="col">Host</th>
          </tr>
        </thead>
        <tbody>
          {line.map((wait) => (
            <tr key={wait.id} data-gone={wait.isAlive !== true || undefined}>
              <td class="number">{textOf(wait.position) ?? "-"}</td>
              <td>
                <Name>{textOf(wait.owner)}</Name>
                {wait.isAlive !== true && <span class="more"> does not look any more</span>}
              </td>
              <td>
                {wait.mode === "semaphore"
                  ? `${String(wait.weight)} of ${String(wait.capacity)}`
                  : wait.mode === "shared"
                    ? "to share it"
                    : "it alone"}
              </td>
              <td class="number">
                <Since at={numberOf(wait.since)} now={now} />
              </td>
              <td>
                <Name>{textOf(wait.host)}</Name>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Wide>
  );
}

/** An open transaction: of a server process, or prepared. */
interface InTheWay {
  /** Of the process, or of the prepared transaction. */
  readonly name: string;
  readonly pid: number | null;
  readonly process: Row<"blockers"> | null;
}

function Blocker({
  blocker: { name, pid, process },
  now,
}: {
  readonly blocker: InTheWay;
  readonly now: number;
}): VNode {
  return (
    <article class="card">
      <header>
        <strong>{pid === null ? "A prepared transaction" : "An open transaction"}</strong>
      </header>
      <dl class="facts">
        <Fact name={pid === null ? "Name" : "Server process"}>
          <Name>{name}</Name>
        </Fact>
        {process !== null && (
          <>
            <Fact name="Open for">
              <Since at={numberOf(process.transactionAt)} now={now} />
            </Fact>
            <Fact name="Last query began">
              <Since at={numberOf(process.queryAt)} now={now} />
            </Fact>
            <Fact name="State">
              <Name>{textOf(process.state)}</Name>
            </Fact>
            <Fact name="Role">
              <Name>{textOf(process.role)}</Name>
            </Fact>
            <Fact name="Application">
              <Name>{textOf(process.application)}</Name>
            </Fact>
          </>
        )}
      </dl>
      {process !== null && process.transactionAt === null && (
        <p class="note">
          Postgres shows more of it to members of pg_read_all_stats: <code>grant pg_read_all_stats to …</code>
        </p>
      )}
    </article>
  );
}

function Ways({
  name,
  isTaken,
  blockers,
}: {
  readonly name: string;
  readonly isTaken: boolean;
  readonly blockers: readonly InTheWay[];
}): VNode {
  if (!isTaken && blockers.length === 0) {
    return <p class="note">It is free, or will be with the next who asks.</p>;
  }
  return (
    <>
      {isTaken && (
        <>
          <p class="note">
            Take it from its holder, who is told at its next renewal. Add --immediate to free it at once, although the
            holder may still be at work.
          </p>
          <Command label="on the command line" text={`leasehold release --force ${quoteArgument(name)}`} />
          <Command label="in SQL" text={`select * from leasehold.force_release(${quoteLiteral(name)});`} />
        </>
      )}
      {blockers.map(({ name: blocker, pid }) => (
        <Command
          key={blocker}
          label="ends the transaction"
          text={pid === null ? `rollback prepared ${quoteLiteral(blocker)};` : `select pg_terminate_backend(${pid});`}
        />
      ))}
    </>
  );
}

function Happened({ events, now }: { readonly events: readonly KeyEvent[]; readonly now: number }): VNode {
  return (
    <ol class="events">
      {events.map((event) => (
        <li key={`${event.at} ${event.fence} ${event.what}`} data-what={event.what}>
          <Since at={event.at} now={now} /> ago: {event.what}
          {event.owner !== null && (
            <>
              {" "}
              <Name>{event.owner}</Name>
            </>
          )}
          {event.from != null && (
            <>
              {" from "}
              <Name>{event.from}</Name>
            </>
          )}
          {event.fence !== null && `, fence ${event.fence}`}
          {event.unseen !== undefined && `, after ${event.unseen} grants that were over too soon to be seen`}
        </li>
      ))}
    </ol>
  );
}

interface Checked extends Pick<Row<"leases">, "mode" | "owner" | "sessionId" | "isSessionAlive" | "metadata"> {
  readonly state: string;
  readonly fence: string | null;
  readonly acquiredAt: number | null;
  readonly expiresAt: number | null;
  readonly ttlMs: number | null;
  readonly blockingPid: number | null;
  readonly blockingTransaction: string | null;
}

/** As a view would have told it, but for what only the views know. */
function leaseOf(key: string, checked: Checked): Row<"leases"> {
  const values: Readonly<Record<string, unknown>> = { ...checked, key, freeAt: checked.expiresAt };
  return toRow(
    "leases",
    `checked ${key}`,
    leaseColumns.map((column) => values[column]),
  );
}

const CHECK_EVERY = 5;

/** What Postgres says of a key that no view shows. Asked for seldom, and only while such a key is looked at. */
function useCheck(name: string, isWanted: boolean, isLive: boolean, version: number): Checked | null {
  const [checked, setChecked] = useState<Checked | null>(null);
  const turn = Math.floor(version / CHECK_EVERY);
  // `turn` tells when to ask again
  useEffect(() => {
    if (!isWanted) setChecked(null);
    if (!isWanted || !isLive) return;
    const stop = new AbortController();
    fetch(addressOf(`key?key=${encodeURIComponent(name)}`), { signal: stop.signal })
      .then((answer) => (answer.ok ? answer.json() : null))
      .then((found: Checked | null) => found !== null && setChecked(found))
      .catch(() => undefined);
    return () => stop.abort();
  }, [name, isWanted, isLive, turn]);
  return checked;
}

function blockersOf(
  store: Store,
  holders: readonly Row<"leases">[],
  line: readonly Row<"waits">[],
  checked: Checked | null,
): readonly InTheWay[] {
  const found = new Map<string, InTheWay>();
  for (const { blockingPid, blockingTransaction } of [...holders, ...line, ...(checked === null ? [] : [checked])]) {
    if (blockingPid !== null) {
      const name = String(blockingPid);
      found.set(name, { name, pid: Number(blockingPid), process: store.rows("blockers").get(name) ?? null });
    } else if (blockingTransaction !== null) {
      const name = String(blockingTransaction);
      found.set(name, { name, pid: null, process: null });
    }
  }
  return [...found.values()];
}

function byAge(a: Row<"leases">, b: Row<"leases">): number {
  return Number(a.acquiredAt ?? 0) - Number(b.acquiredAt ?? 0);
}

function byPosition(a: Row<"waits">, b: Row<"waits">): number {
  return Number(a.position ?? Number.MAX_SAFE_INTEGER) - Number(b.position ?? Number.MAX_SAFE_INTEGER);
}
