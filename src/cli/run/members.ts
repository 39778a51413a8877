import { withDescendants } from "./process-table.js";

/** The processes of a command. */
export interface Members {
  send(signal: NodeJS.Signals): void;
  /** Whether any of them is still running. Also finds those that were started meanwhile. */
  areLeft(): boolean | Promise<boolean>;
}

/** The process group of this leader, which may have ended already. */
export function groupOf(leader: number): Members {
  return {
    send: (signal) => void send(-leader, signal),
    areLeft: () => send(-leader, 0),
  };
}

/** A process and all that it has started, as far as the process table shows that. Without a process table, as on Windows: it alone. */
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

/** Sends it to a process, or with a negative number to a group. Returns whether there was one to send it to. */
export function send(target: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(target, signal);
  } catch {
    return false;
  }
}
