import { useEffect } from "preact/hooks";

export type Theme = "auto" | "light" | "dark";

const themes: readonly Theme[] = ["auto", "light", "dark"];
const NAME = "leasehold-theme";

export function themeNow(): Theme {
  try {
    return themes.find((theme) => theme === localStorage.getItem(NAME)) ?? "auto";
  } catch {
    return "auto"; // storage is not for everybody
  }
}

export function nextTheme(theme: Theme): Theme {
  return themes[(themes.indexOf(theme) + 1) % themes.length] ?? "auto";
}

/** Writes the scheme where the style sheet reads it. */
export function useTheme(theme: Theme): void {
  useEffect(() => {
    try {
      localStorage.setItem(NAME, theme);
    } catch {
      // it is kept for this page alone
    }
    const dark = window.matchMedia("(prefers-color-scheme: dark)");
    const apply = (): void => {
      document.documentElement.dataset.scheme = theme === "auto" ? (dark.matches ? "dark" : "light") : theme;
    };
    apply();
    dark.addEventListener("change", apply);
    return () => dark.removeEventListener("change", apply);
  }, [theme]);
}
