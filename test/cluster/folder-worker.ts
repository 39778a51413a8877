// A process that has a cluster's folder with something running in it, to be killed.

import { until } from "../support/until.js";
import { serve } from "../support/worker.js";
import { ClusterFolder, processesIn, signalAll } from "./folder.js";

export interface Started {
  readonly path: string;
  readonly pids: readonly number[];
}

serve(() => ({
  /** One of the two is frozen. */
  start: async (): Promise<Started> => {
    const folder = await ClusterFolder.make();
    for (const name of ["a", "b"]) folder.start("sleep", ["600"], folder.folder(name), "log");
    await until("both run", () => processesIn(folder.path).length === 2);
    const pids = processesIn(folder.path);
    signalAll(pids.slice(1), "SIGSTOP");
    return { path: folder.path, pids };
  },
}));
