// One round: a server, processes that take locks, a nemesis, and what they left in the log.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { changeUrl, openClient } from "../support/client.js";
import type { Cluster } from "../support/cluster.js";
import { startPgBouncer } from "../support/pgbouncer.js";
import type { PoolerProcess } from "../support/pooler-process.js";
import { type PostgresProxy, startProxy } from "../support/proxy.js";
import { randomFrom } from "../support/random.js";
import { usualTls } from "../support/transport.js";
import { Undo } from "../support/undo.js";
import { type Actor, type Kind, NodeActor, OtherActor } from "./actor.js";
import { psqlCommand, pythonCommand } from "./clients/commands.js";
import { FakeClocks } from "./clocks.js";
import { collect } from "./collect.js";
import { addressFor, addStandby, connectionsGone, probe, role, startPrimary } from "./database.js";
import { Journal } from "./journal.js";
import { keys } from "./keys.js";
import { torment } from "./nemesis.js";
import { type Scene, usualFaults } from "./scenes.js";
import type { Stage } from "./stage.js";
import type { CampaignWorkerArgs } from "./worker/arguments.js";

export interface RoundOptions {
  readonly round: number;
  readonly seed: number;
  readonly scene: Scene;
  readonly seconds: number;
  /** Where the log goes; it is there. */
  readonly folder: string;
}

/** Who takes locks. */
const company: readonly Kind[] = ["node", "node", "node", "node", "python", "psql"];
const FLOWS = 6;
const FINISH_MS = 60_000;

/** Plays it, and returns the files of its log. */
export async function playRound({ round, seed, scene, seconds, folder }: RoundOptions): Promise<readonly string[]> {
  await using undo = new Undo();
  const random = randomFrom(seed);
  const newSeed = (): number => Math.floor(random() * 2 ** 32);
  const files: string[] = [];
  const newFile = async (name: string): Promise<string> => {
    const file = join(folder, `${name}.jsonl`);
    await writeFile(file, "");
    files.push(file);
    return file;
  };

  const journal = new Journal(await newFile("nemesis"));
  undo.defer(() => journal.close());
  journal.write({ e: "round", round, seed, scene: scene.name, limits: scene.limits });
  const clocks = scene.hasClocks ? await FakeClocks.make() : undefined;
  if (clocks) undo.defer(() => clocks.remove());
  const tls = scene.tls ? await usualTls() : undefined;
  const primary = undo.use(await startPrimary(scene, tls ?? false, clocks));
  journal.write({ e: "primary", node: "one", isLagging: false });
  const standby = scene.standby && undo.use(await addStandby(primary, scene.standby === "synchronous"));
  const pooler = scene.pooler && undo.use(await startPooler(primary, scene.pooler));

  let end = Number.POSITIVE_INFINITY;
  const certificate = tls?.certificate ?? false;
  const proxies: PostgresProxy[] = [];
  const proxyTo = async (url: string): Promise<PostgresProxy> => {
    const proxy = undo.use(await startProxy(url, { certificate }));
    proxies.push(proxy);
    return proxy;
  };
  let started = 0;
  const startActor = async (kind: Kind): Promise<Actor> => {
    started += 1;
    const name = `w${started}`;
    const hasPresence = scene.presence === "both" ? started % 2 === 0 : scene.presence !== "off";
    // what is drawn does not depend on which of several starts first
    const [workerSeed, takeover, request, connect] = [newSeed(), random(), random(), random()];
    const direct = await proxyTo(stage.primary.url);
    const proxy = pooler ? await proxyTo(pooler.url(primary.url)) : direct;
    const address = (through: PostgresProxy, application: string): string =>
      addressFor(through.url(primary.url), application, tls !== undefined);
    if (kind !== "node") {
      const command = await (kind === "python" ? pythonCommand : psqlCommand)({
        name,
        seed: workerSeed,
        logFile: await newFile(name),
        url: address(direct, name),
        presence: hasPresence ? "on" : "off",
        statementTimeoutMs: Math.round(3_000 + request * 5_000),
        keys,
      });
      if (command !== undefined) return new OtherActor(name, kind, direct, command, journal);
    }
    const args: CampaignWorkerArgs = {
      name,
      seed: workerSeed,
      logFile: await newFile(name),
      url: address(proxy, name),
      ...(scene.pooler === "transaction" && hasPresence ? { directUrl: address(direct, name) } : {}),
      dataUrl: address(direct, `data ${name}`),
      presence: hasPresence ? "on" : "off",
      takeoverDelayMs: Math.round(1_000 + takeover * 1_500),
      requestTimeoutMs: Math.round(3_000 + request * 5_000),
      connectTimeoutMs: Math.round(2_000 + connect * 3_000),
      flows: FLOWS,
      keys,
      libraries: ["postgres.js", "node-postgres", "drizzle", "kysely"],
      mayForce: true,
      unsafeUrls: {
        "not-migrated": changeUrl(address(direct, name), { database: "template1" }),
        // without presence a transaction pooler is safe
        ...(scene.pooler === "transaction" && hasPresence ? { "unsafe-backend": address(proxy, name) } : {}),
      },
    };
    return NodeActor.start(name, proxy, args, journal, clocks ? { env: await clocks.environment(name) } : {});
  };

  const stage: Stage = {
    journal,
    keys,
    primary,
    names: new Map<Cluster, string>([[primary, "one"], ...(standby ? [[standby, "two"] as const] : [])]),
    standby: standby || undefined,
    isLagging: scene.standby === "lagging",
    leavesOldPrimary: scene.leavesOldPrimary ?? false,
    actors: [],
    disturbed: new Set(),
    isServerDisturbed: false,
    replace: async (actor) => {
      const others = stage.isOver() ? [] : [await startActor(actor.kind)];
      const index = stage.actors.indexOf(actor); // others have come and gone meanwhile
      stage.actors.splice(index, 1, ...others);
    },
    retarget: (actors) => {
      for (const { proxy } of actors) {
        proxy.retarget(stage.primary.url);
        proxy.cutAll();
      }
    },
    setServerClock: clocks && ((seconds) => clocks.set("server", seconds)),
    setWallClock: clocks && ((actor, seconds) => clocks.set(actor.name, seconds)),
    disk: scene.diskMb ? join(primary.dataDir, "..") : undefined,
    isOver: () => performance.now() >= end,
  };
  // if the round breaks off, they must not outlive it
  undo.defer(() => Promise.all(stage.actors.map((actor) => actor.kill())));
  for (const one of await Promise.allSettled(company.map(startActor))) {
    if (one.status === "rejected") throw one.reason;
    stage.actors.push(one.value);
  }

  end = performance.now() + seconds * 1_000;
  await Promise.all([torment(stage, { ...usualFaults, ...scene.faults }, newSeed), watchConnections(stage)]);

  for (const proxy of proxies) await pacify(proxy);
  // what had lost an answer would wait for it for ever: the last fault
  for (const proxy of proxies) proxy.cutAll();
  await clocks?.setAll(0);
  for (const actor of stage.actors) actor.resume();
  journal.write({ e: "quiet" });
  await Promise.all(stage.actors.map((actor) => actor.finish(FINISH_MS)));
  for (const proxy of proxies) proxy.cutAll();
  await lookAtTheEnd(stage, await newFile("database"));
  return files;
}

async function startPooler(primary: Cluster, poolMode: "transaction" | "session"): Promise<PoolerProcess> {
  const url = addressFor(primary.url, "pooler", false);
  const pooler = await startPgBouncer(url, { poolMode, poolSize: poolMode === "session" ? 60 : 15 });
  if (pooler === undefined) throw new Error("PgBouncer is not installed");
  return pooler;
}

async function pacify(proxy: PostgresProxy): Promise<void> {
  await proxy.refuse(false);
  proxy.heal();
  proxy.delayMs.toServer = 0;
  proxy.delayMs.toClient = 0;
}

/** How many connections each process has, now and then. */
async function watchConnections(stage: Stage): Promise<void> {
  while (!stage.isOver()) {
    await sleep(500);
    const sql = await openClient(stage.primary.url).catch(() => undefined);
    if (sql === undefined) continue;
    try {
      const rows = await sql<{ of: string; count: number }[]>`
        select substring(application_name from 'w\\d+') as of, count(*)::int as count from pg_stat_activity
         where application_name like 'leasehold %' and usename = ${role.user} group by 1`;
      for (const { of, count } of rows) stage.journal.write({ e: "connections", of, count });
    } catch {
      // it was asked while the server went away
    } finally {
      await sql.end({ timeout: 0 });
    }
  }
}

async function lookAtTheEnd(stage: Stage, file: string): Promise<void> {
  const { primary, names, journal } = stage;
  await using sql = await clientOf(primary);
  await connectionsGone(sql.client);
  const replaced = stage.standby ? undefined : [...names.keys()].find((cluster) => cluster !== primary);
  if (replaced === undefined) {
    await collect(file, sql.client, undefined);
  } else {
    if (replaced.pid === undefined) await replaced.start();
    await using old = await clientOf(replaced);
    await collect(file, sql.client, old.client);
  }
  await probe(sql.client, journal);
}

async function clientOf(cluster: Cluster) {
  const client = await openClient(cluster.url);
  return { client, [Symbol.asyncDispose]: () => client.end({ timeout: 0 }) };
}
