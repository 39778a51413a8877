/** What is shown: the part of the address behind #, so that going back works and a view can be linked to. */
export type Route =
  | { readonly view: "now" }
  | { readonly view: "key"; readonly key: string }
  | { readonly view: "sessions" }
  | { readonly view: "graph" }
  | { readonly view: "time" };

export function toRoute(hash: string): Route {
  const [name = "", ...rest] = hash.replace(/^#\/?/, "").split("/");
  switch (name) {
    case "key":
      return { view: "key", key: decoded(rest.join("/")) };
    case "sessions":
    case "graph":
    case "time":
      return { view: name };
    default:
      return { view: "now" };
  }
}

export function hrefOf(route: Route): string {
  if (route.view === "key") return `#/key/${encodeURIComponent(route.key)}`;
  return route.view === "now" ? "#/" : `#/${route.view}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
