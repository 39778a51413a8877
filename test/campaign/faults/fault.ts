import type { Actor } from "../actor.js";
import type { Draw } from "../draw.js";
import type { Stage } from "../stage.js";

export type Fault =
  /** Hits one process. */
  | { readonly of: "process"; run(stage: Stage, actor: Actor, draw: Draw): Promise<void> }
  /** Concerns all: only one such at a time. */
  | { readonly of: "server"; run(stage: Stage, draw: Draw): Promise<void> }
  /** Goes on beside others. */
  | { readonly of: "tables"; run(stage: Stage, draw: Draw): Promise<void> };
