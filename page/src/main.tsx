import { render } from "preact";
import { startHistory } from "./build/history";
import { startReporting, startTracing, traceWithToken } from "./build/live";
import { startRecovering } from "./catalogue/catalogue";
import { Page } from "./page";
import { startAddress } from "./start/address";
import "./style/tokens.css";
import "./style/setters.css";
import "./style/base.css";
import "./style/page.css";

startHistory();
startReporting();
startRecovering();
traceWithToken();
void startAddress().then(startTracing);

const root = document.getElementById("page");
if (root) render(<Page root={root} />, root);
