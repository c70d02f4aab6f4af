import { render } from "preact";
import { Reference } from "./reference";
import "../style/tokens.css";
import "../style/base.css";

const root = document.getElementById("docs");
if (root) render(<Reference />, root);
