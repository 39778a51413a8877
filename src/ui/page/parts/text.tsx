import type { ComponentChildren, VNode } from "preact";

/** Characters that show nothing, or change the order of what stands beside them: a key could look like another one. */
const unseen = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}\u00a0\u2000-\u200a\u3000]/gu;

/** With what cannot be seen written out. */
export function visible(text: string): string {
  return text.replace(unseen, (char) => {
    const code = char.codePointAt(0) ?? 0;
    return `\\u{${code.toString(16)}}`;
  });
}

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
