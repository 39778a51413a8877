import type { ComponentChildren, VNode } from "preact";
import { visibleName } from "../state/visible.js";

/** A text from the database: a name that somebody chose. */
export function Name({ children }: { readonly children: string | null }): VNode {
  return children === null ? <span class="none">-</span> : <bdi class="name">{visibleName(children)}</bdi>;
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

/** Something that may be wider than the screen: it is moved with the keyboard, too. */
export function Wide({
  label,
  kind = "",
  children,
}: {
  readonly label: string;
  readonly kind?: string;
  readonly children: ComponentChildren;
}): VNode {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: who has no pointer could not see what is beyond the edge
    <section class={`scroll ${kind}`} aria-label={label} tabIndex={0}>
      {children}
    </section>
  );
}
