// Whatever a busy process shows of itself, no token, password or parameter of an address is in it.
import { randomUUID } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { inspect } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import type { Lock } from "../../src/index.js";
import { changeUrl } from "../support/client.js";
import { createDatabase, createRole } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";

const database = await createDatabase();

/** Until the test has ended. */
function listen(channel: string, shown: unknown[]): void {
  const onMessage = (message: unknown) => void shown.push(message);
  subscribe(channel, onMessage);
  onTestFinished(() => void unsubscribe(channel, onMessage));
}

function asText(value: unknown): string {
  const deep = { depth: 20, showHidden: true, getters: true, breakLength: Number.POSITIVE_INFINITY } as const;
  return [inspect(value, deep), JSON.stringify(value), String(value)].join("\n");
}

test("debug, capabilities, locks, messages and errors of a busy process show none, whatever befalls it", async () => {
  expectLeft(database, "leases", "waiters", "sessions");
  const role = await createRole(database, { grantUsage: true });
  const password = new URL(role.url).password;
  // the locks do not show theirs, so the tables remember them
  await database.sql.unsafe(`
    create table public.tokens (token uuid);
    grant insert on public.tokens to public;
    create function public.remember() returns trigger language plpgsql as
      $$ begin insert into public.tokens values (new.token); return null; end $$;
    create trigger remember after insert or update of token on leasehold.leases
      for each row when (new.token is not null) execute function public.remember();
    create trigger remember after insert on leasehold.waiters for each row execute function public.remember()`);
  const shown: unknown[] = [];
  const careless = new Set<unknown>();
  const blab = ({ key }: Lock) => {
    const secret = randomUUID();
    const error = new Error(`${key} with ${secret} was granted over ${role.url} with ${password}`);
    careless.add(error);
    throw error;
  };
  for (const name of ["acquire", "release", "lost", "takeover", "sweep"]) listen(`leasehold:${name}`, shown);
  for (const name of ["acquire", "with-lock"]) {
    for (const event of ["start", "asyncEnd", "error"]) listen(`tracing:leasehold:${name}:${event}`, shown);
  }
  await using proxy = await startProxy(database.url);
  const url = `${proxy.url(role.url)}?application_name=sesame-application&options=-csearch_path%3Dsesame_path`;
  const onError = (error: unknown) => {
    // what their own callback wrote is theirs; in what debug makes of it, it must not be
    if (!careless.has(error)) shown.push(error);
  };
  await using locker = openLocker(url, {
    connection: { password, connection: { "sesame.setting": "sesame-value" } },
    requestTimeoutMs: 3_000,
    connectTimeoutMs: 3_000,
    takeoverDelayMs: 1_000,
    metadata: { job: 1 },
    onAcquired: blab,
    onLost: blab,
    onError,
  });
  await using plain = openLocker(role.url, { onAcquired: blab, onError });
  await using stranger = openLocker(changeUrl(database.url, { user: "stranger", password: "sesame-open" }));
  const look = async () => {
    for (const one of [locker, plain, stranger]) shown.push(await one.debug(), one, one.locks());
  };

  const [held, brief] = await Promise.all([
    locker.acquire("held"),
    locker.acquire("brief", { ttlMs: 1_000, keepAlive: false }),
  ]);
  const waiting = plain.acquire("held");
  await plain.acquire("other");
  await plain.withLock("brief work", () => plain.tryWithLock("other", () => undefined));
  shown.push(await locker.capabilities(), await locker.check("held"), await stranger.ready().catch((error) => error));
  await until("somebody waits", async () => (await plain.debug()).waits[0]?.ticket);
  await until("a lock was lost", async () => (await locker.debug()).lost[0]);
  shown.push(await brief.release().catch((error: unknown) => error));
  await look();
  proxy.blackhole();
  shown.push(await locker.acquire("in vain", { waitMs: 1 }).catch((error: unknown) => error));
  await look();
  await proxy.refuse(true);
  proxy.cutAll();
  shown.push(
    await held.renew().catch((error: unknown) => error),
    await locker.check("a").catch((error: unknown) => error),
  );
  await look();
  await Promise.all([locker.close(), plain.close(), waiting.catch((error: unknown) => shown.push(error))]);
  await look();

  const tokens = (await database.sql`select distinct token::text from public.tokens`).map(({ token }) => token);
  expect(tokens.length).toBeGreaterThanOrEqual(4);
  const text = shown.map(asText).join("\n");
  for (const secret of [...tokens, password, "sesame"]) expect(text).not.toContain(secret);
  for (const message of ["isAcquired", "isContended", "heldMs", "expired"]) expect(text).toContain(message);
  expect(text).toContain("with [uuid] was granted over postgres://[hidden]@");
});
