import { render } from "preact";
import { App } from "./app.js";
import { connect } from "./state/connect.js";
import { Store } from "./state/store.js";

const store = new Store();
const place = document.getElementById("app");
if (place !== null) render(<App store={store} />, place);
connect(store);
