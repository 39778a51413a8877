// 1,024 in flight while three other processes want all of the machine.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closed, opened } from "../../test/support/resources.js";
import { withCrews } from "../crew.js";
import { measureRates, type Workload } from "./workload.js";

const IN_FLIGHT = 1_024;
const BUSY = 3;

export const QUIET_CASE = "alone";
export const BUSY_CASE = "beside three busy processes";

export const busy: Workload = {
  name: "busy",
  about: "1,024 in flight alone, and beside three processes that compute without end",
  async run(entrants, { windowMs, rounds }, report) {
    const redlock = entrants.peers.filter(({ name }) => name === "redlock");
    await withCrews([...entrants.leaseholds, ...redlock], 1, async (crews) => {
      const measure = (of: string) =>
        measureRates(this.name, of, crews, rounds, (crew) => crew.window(IN_FLIGHT, windowMs * 2));
      report(await measure(QUIET_CASE));
      const processes = Array.from({ length: BUSY }, () => new BusyProcess());
      try {
        report(await measure(BUSY_CASE));
      } finally {
        await Promise.all(processes.map((one) => one.dispose()));
      }
    });
  },
};

class BusyProcess {
  readonly name = "a busy process";
  readonly #child: ChildProcess;

  constructor() {
    // It ends by itself should nobody be left who ends it.
    this.#child = spawn(process.execPath, ["-e", "for (const end = Date.now() + 300_000; Date.now() < end; );"], {
      stdio: "ignore",
    });
    opened(this);
  }

  async dispose(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exit = once(this.#child, "exit");
      this.#child.kill("SIGKILL");
      await exit;
    }
    closed(this);
  }
}
