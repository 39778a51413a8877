import type { Command } from "./command.js";

/** Every command, in the order of the help. A command is loaded when it is called, because few need all of the code. */
export const commands: Readonly<Record<string, () => Promise<Command>>> = {
  migrate: async () => (await import("./commands/migrate.js")).migrate,
  run: async () => (await import("./commands/run.js")).run,
  ls: async () => (await import("./commands/ls.js")).ls,
  show: async () => (await import("./commands/show.js")).show,
  waiting: async () => (await import("./commands/waiting.js")).waiting,
  sessions: async () => (await import("./commands/sessions.js")).sessions,
  stats: async () => (await import("./commands/stats.js")).stats,
  hot: async () => (await import("./commands/hot.js")).hot,
  watch: async () => (await import("./commands/watch.js")).watch,
  ui: async () => (await import("./commands/ui.js")).ui,
  release: async () => (await import("./commands/release.js")).release,
  sweep: async () => (await import("./commands/sweep.js")).sweep,
  doctor: async () => (await import("./commands/doctor.js")).doctor,
  sql: async () => (await import("./commands/sql.js")).sql,
  completion: async () => (await import("./commands/completion.js")).completion,
  man: async () => (await import("./commands/man.js")).man,
};

/** All of them, loaded. */
export async function allCommands(): Promise<readonly Command[]> {
  return await Promise.all(Object.values(commands).map((load) => load()));
}
