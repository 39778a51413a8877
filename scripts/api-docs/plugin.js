// A plugin of TypeDoc that keeps the pages short: each member stands there once, with the type that declares it; a signature shows its types,
// so that nothing repeats them; errors are a list with their names. What has no doc comment fails the run.
import { CommentTag, Converter, ReflectionKind } from "typedoc";
import { MarkdownTheme, MarkdownThemeContext } from "typedoc-plugin-markdown";

const { Class, Interface, TypeAlias, Function: Func, Variable, Property, Method, Accessor } = ReflectionKind;
const documented = Class | Interface | TypeAlias | Func | Variable | Property | Method | Accessor;

/** @param {import("typedoc-plugin-markdown").MarkdownApplication} app */
export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_END, ({ project }) => {
    for (const reflection of project.getReflectionsByKind(ReflectionKind.All)) {
      if (reflection.flags.isInherited) {
        project.removeReflection(reflection);
        continue;
      }
      if (isUndocumented(reflection)) app.logger.warn(`${reflection.getFullName()} has no doc comment`);
      // what TypeDoc calls a parameter that is taken apart at once
      if (reflection.name === "__namedParameters") reflection.name = "data";
      if (reflection.comment) listErrors(reflection.comment);
    }
  });
  app.renderer.defineTheme("short", ShortTheme);
}

/** One that overrides another has the comment of that one; columns of views have theirs in the database. */
function isUndocumented(reflection) {
  if (!reflection.kindOf(documented) || reflection.overwrites || reflection.getFullName().includes("__type"))
    return false;
  if (reflection.kindOf(Property)) {
    const { parent } = reflection;
    if (parent.kindOf(ReflectionKind.TypeLiteral) || parent.parent?.name === "drizzle") return false;
  }
  return !(reflection.hasComment() || reflection.signatures?.every((signature) => signature.hasComment()));
}

/** One `@throws` for all, as a list. TypeDoc itself leaves out what stands in braces: the name of the error. */
function listErrors(comment) {
  const tags = comment.getTags("@throws");
  if (tags.length === 0) return;
  const content = tags.flatMap(({ typeAnnotation, content }) => [
    { kind: "text", text: "- " },
    ...(typeAnnotation ? [{ kind: "code", text: `\`${typeAnnotation.replace(/^\{|\}$/g, "")}\`` }] : []),
    ...(typeAnnotation && content.length > 0 ? [{ kind: "text", text: " " }] : []),
    ...content.map((part) => ({ ...part, text: part.text.replaceAll("\n", " ") })),
    { kind: "text", text: "\n" },
  ]);
  comment.removeTags("@throws");
  comment.blockTags.push(new CommentTag("@throws", content));
}

class ShortTheme extends MarkdownTheme {
  getRenderContext(page) {
    return new ShortContext(this, page, this.application.options);
  }
}

class ShortContext extends MarkdownThemeContext {
  partials = { ...this.partials, signatureReturns: () => "", inheritance: () => "" };
}
