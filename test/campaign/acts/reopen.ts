import { boundOf, boundOfClose } from "../worker/bounds.js";
import type { Act } from "../worker/flow.js";

/** The locker is closed while the other flows use it, and another takes its place. */
export const reopenAct: Act = {
  name: "close and open",
  weight: 0.4,
  async run(flow) {
    const { args, chance, log } = flow;
    const drainMs = chance.pick([0, 0, 200, 1_000]);
    let isClosed = false;
    await flow.reopen(async (locker) => {
      const closing = await log.call({ call: "close", keys: [], boundMs: boundOfClose(args, drainMs) }, () =>
        locker.close({ drainMs }),
      );
      isClosed = closing.isDone;
    });
    const { locker } = flow;
    const isReady = await log.call({ call: "ready", keys: [], boundMs: boundOf(args) }, () => locker.ready());
    return isClosed && isReady.isDone;
  },
};

/** A set-up that is not safe is refused, and says so. */
export const unsafeAct: Act = {
  name: "unsafe set-up",
  weight: 1,
  isPossible: ({ unsafeUrls = {} }) => Object.keys(unsafeUrls).length > 0,
  async run(flow) {
    const { args, chance, log } = flow;
    const [code, url] = chance.pick(Object.entries(args.unsafeUrls ?? {}));
    const locker = flow.open({ url });
    const result = await log.call({ call: "ready", keys: [], mustFail: code, boundMs: boundOf(args) }, () =>
      locker.ready(),
    );
    await log.call({ call: "close", keys: [], boundMs: boundOfClose(args, 0) }, () => locker.close());
    return !result.isDone && result.failure.code === code;
  },
};
