// Language and theme.
import { h, button, div } from "./ui/h.js";
import { Icon } from "./ui/icons.js";
import { language, LANGUAGES, setLanguage, t } from "./i18n/index.js";
import { theme, toggleTheme } from "./theme.js";

export const Preferences = () => div({ class: "preferences" },
    Object.entries(LANGUAGES).map(([name, text]) => button({
        key: name, type: "button", lang: name, class: "plain", "aria-pressed": String(language.value === name),
        onClick: () => setLanguage(name),
    }, text)),
    button({ type: "button", class: "plain", "aria-label": t("theme"), title: t("theme"), onClick: toggleTheme },
        h(Icon, { name: theme.value === "dark" ? "sun" : "moon" })));
