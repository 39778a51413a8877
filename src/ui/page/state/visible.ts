/** Characters that show nothing, or change the order of what stands beside them: a key could look like another one. */
const unseen = /(?! )[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}\p{Zs}\p{Default_Ignorable_Code_Point}\u2800]/gu;

/** With what cannot be seen written out. */
export function visible(text: string): string {
  return text.replace(unseen, (char) => {
    const code = char.codePointAt(0) ?? 0;
    return `\\u{${code.toString(16)}}`;
  });
}

/** A name, also with the spaces that a browser would leave out: two names never look the same because of them. */
export function visibleName(name: string): string {
  return visible(name).replace(/^ +| +$| {2,}/g, (spaces) => "\\u{20}".repeat(spaces.length));
}
