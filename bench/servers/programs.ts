import type { ServerProgram } from "./own-server.js";

const redisOptions = (port: number, folder: string) =>
  ["--bind", "127.0.0.1", "--port", String(port), "--dir", folder, "--save", ""] as const;

/** In memory, without snapshots: what it forgets in a crash is everything. */
export const redis: ServerProgram = {
  name: "Redis",
  program: "redis-server",
  debianPackage: "redis-server",
  arguments: redisOptions,
  ready: /Ready to accept connections/,
};

/** As durable as a grant of Leasehold: nothing is answered before it is on the disk. */
export const durableRedis: ServerProgram = {
  ...redis,
  name: "Redis with appendfsync always",
  arguments: (port, folder) => [...redisOptions(port, folder), "--appendonly", "yes", "--appendfsync", "always"],
};

export const etcd: ServerProgram = {
  name: "etcd",
  program: "etcd",
  debianPackage: "etcd-server",
  arguments: (port, folder) => {
    const [client, peer] = [`http://127.0.0.1:${port}`, "http://127.0.0.1:0"];
    return [
      ...["--name=bench", `--data-dir=${folder}/data`, "--log-level=info"],
      ...[`--listen-client-urls=${client}`, `--advertise-client-urls=${client}`],
      ...[`--listen-peer-urls=${peer}`, `--initial-advertise-peer-urls=${peer}`, `--initial-cluster=bench=${peer}`],
    ];
  },
  ready: /ready to serve client requests|serving (insecure )?client requests|serving client traffic insecurely/,
};
