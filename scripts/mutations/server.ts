// The server that all lanes share.
import { startCluster } from "../../test/support/cluster.js";
import { removeBinariesCopy } from "../../test/support/server-binaries.js";
import { keepServersInMemory, prepareTemplate, removeTemplate } from "../../test/support/server-folder.js";

/** That of TEST_DATABASE_URL, else the embedded one. It has a guardian: it ends with this process. */
export async function startServer(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const url = process.env.TEST_DATABASE_URL;
  if (url) return { url, stop: async () => {} };
  await keepServersInMemory();
  await prepareTemplate();
  const cluster = await startCluster({ settings: { max_connections: 400 }, tls: false });
  const stop = async () => {
    await cluster.destroy();
    await removeTemplate();
    await removeBinariesCopy();
  };
  return { url: cluster.url, stop };
}
