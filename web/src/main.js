// The console starts here.
import { render } from "preact";
import { h } from "./ui/h.js";
import { App } from "./app.js";
import { preferred, setLanguage } from "./i18n/index.js";
import { resume } from "./session.js";
import "./theme.js";
import "./style.css";

await Promise.all([setLanguage(preferred()), resume()]);
render(h(App), document.getElementById("app"));
