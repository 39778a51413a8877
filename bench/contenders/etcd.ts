import type { Contender } from "./contender.js";

interface Lock {
  acquire(): Promise<Lock>;
  release(): Promise<void>;
}

interface Etcd3 {
  lock(key: string): Lock;
  close(): void;
}

/** etcd3's lock asks once and does not wait, so it takes no part where workers wait for each other. */
export async function openEtcd(port: number): Promise<Contender> {
  const name = "etcd3";
  const module = (await import(name)) as { Etcd3: new (options: { hosts: string }) => Etcd3 };
  const client = new module.Etcd3({ hosts: `http://127.0.0.1:${port}` });
  return {
    acquire: (key) => client.lock(key).acquire(),
    release: (lock) => (lock as Lock).release(),
    tryOnce: (key) =>
      client
        .lock(key)
        .acquire()
        .then(
          () => true,
          () => false,
        ),
    end: async () => client.close(),
  };
}
