import type { ComponentChildren, VNode } from "preact";
import { visible } from "../state/visible.js";

/** A text from the database: a name that somebody chose. */
export function Name({ children }: { readonly children: string | null }): VNode {
  return children === null ? <span class="none">-</span> : <bdi class="name">{visible(children)}</bdi>;
}

/** A heading beside its value. */
export function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }): VNode {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
