import { withDescendants } from "./process-table.js";

/** Those that a command consists of. */
export interface Members {
  send(signal: NodeJS.Signals): void;
  /** Whether some of them still run. Finds those that were started meanwhile. */
  areLeft(): boolean | Promise<boolean>;
}

/** The process group of this leader, who may be gone already. */
export function groupOf(leader: number): Members {
  return {
    send: (signal) => void send(-leader, signal),
    areLeft: () => send(-leader, 0),
  };
}

/** A process and all that it has started, as far as the table of processes shows it; where there is none, as on Windows, it alone. */
export async function familyOf(pid: number, platform: NodeJS.Platform = process.platform): Promise<Members> {
  if (platform === "win32") return { send: (signal) => void send(pid, signal), areLeft: () => send(pid, 0) };
  let family = await withDescendants(pid, platform);
  return {
    send: (signal) => family.forEach(({ pid }) => void send(pid, signal)),
    areLeft: async () => {
      family = await withDescendants(family, platform);
      return family.length > 0;
    },
  };
}

/** Whether there was anybody to send it to. */
function send(target: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(target, signal);
  } catch {
    return false;
  }
}
