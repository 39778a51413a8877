// Which Postgres the tests share: TEST_DATABASE_URL, else a container, else the embedded one.
import { randomBytes } from "node:crypto";
import { type Cluster, startCluster } from "./cluster.js";
import { guard } from "./guardian.js";
import { packageVariable } from "./server-binaries.js";
import { type ServerTls, usualTls } from "./transport.js";

export interface SharedServer {
  readonly what: string;
  readonly url: string;
  /** Where it is the tests' own. */
  readonly cluster?: Cluster;
  stop(): Promise<void>;
}

export async function startSharedServer(): Promise<SharedServer> {
  const url = process.env.TEST_DATABASE_URL;
  if (url) return { what: "of TEST_DATABASE_URL", url, stop: async () => {} };
  // another version is asked for: not whatever a container has
  if (process.env[packageVariable]) return startEmbedded();
  return (await startContainer()) ?? (await startEmbedded());
}

/** For the tests that run over TLS, whatever the others share: always the embedded one. */
export async function startTlsServer(): Promise<SharedServer> {
  return { ...(await startEmbedded(await usualTls())), what: "embedded, over TLS" };
}

async function startEmbedded(tls: ServerTls | false = false): Promise<SharedServer> {
  const cluster = await startCluster({ settings: { max_connections: 400 }, tls });
  return { what: "embedded", url: cluster.url, cluster, stop: () => cluster.destroy() };
}

/** A container, when a Docker engine and an image are here: nothing is ever pulled. */
async function startContainer(): Promise<SharedServer | undefined> {
  const { getContainerRuntimeClient } = await import("testcontainers");
  const engine = await within(5_000, getContainerRuntimeClient()).catch(() => undefined);
  if (!engine) {
    if (process.env.TESTCONTAINERS_POSTGRES_IMAGE)
      console.warn("[tests] no Docker engine: TESTCONTAINERS_POSTGRES_IMAGE is not used");
    return undefined;
  }
  const tags = (await engine.container.dockerode.listImages()).flatMap((image) => image.RepoTags ?? []);
  const image = process.env.TESTCONTAINERS_POSTGRES_IMAGE ?? newestPostgres(tags);
  if (!image || !tags.includes(image.includes(":") ? image : `${image}:latest`)) {
    console.warn(`[tests] a Docker engine, but no image ${image ?? "postgres"} in it`);
    return undefined;
  }
  // its reaper is an image too; without it a guardian does the same
  const hasReaper = tags.some((tag) => tag.startsWith("testcontainers/ryuk:"));
  if (!hasReaper) process.env.TESTCONTAINERS_RYUK_DISABLED = "true";
  const { PostgreSqlContainer } = await import("@testcontainers/postgresql");
  const container = await new PostgreSqlContainer(image)
    .withPassword(randomBytes(12).toString("hex")) // Docker publishes the port on all interfaces
    .withCommand(["postgres", "-c", "max_connections=400"])
    .start();
  const guardian = guard('docker rm --force --volumes "$1"', container.getId());
  const stop = async () => {
    await container.stop();
    guardian.release();
  };
  return { what: `in a container of ${image}`, url: container.getConnectionUri(), stop };
}

function newestPostgres(tags: readonly string[]): string | undefined {
  const versionOf = (tag: string) => Number.parseFloat(tag.slice(tag.indexOf(":") + 1)) || 0;
  const found = tags.filter(
    (tag) => tag.startsWith("postgres:") && (versionOf(tag) >= 13 || tag === "postgres:latest"),
  );
  return found.sort((a, b) => versionOf(b) - versionOf(a))[0];
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
