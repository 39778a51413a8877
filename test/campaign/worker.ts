// A process that uses the library as hard as it can, and writes down what it did and was told. Loaded first: what sees its sockets and timers.
import { openHandles } from "../support/watch.js";
import { serve } from "../support/worker.js";
import type { CampaignWorkerArgs } from "./worker/arguments.js";
import { Worker } from "./worker/worker.js";

serve<CampaignWorkerArgs>((args) => {
  const worker = new Worker(args, openHandles);
  worker.start();
  return {
    block: (ms: number) => worker.block(ms),
    finish: () => worker.finish(),
    stats: () => worker.stats,
  };
});
