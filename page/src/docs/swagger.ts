/** Swagger UI with the settings of this page; it needs nothing from elsewhere. */

import SwaggerUI, { type System } from "swagger-ui-dist/swagger-ui-es-bundle.js";
import "swagger-ui-dist/swagger-ui.css";
import "./swagger.css";
import { token } from "../api/token";
import type { OpenApiDocument } from "./document";
import { completeNames } from "./names";
import { searchInOperations } from "./search";

/** Shows the routes in `place`; `search` narrows them to those in which all words of a text occur. */
export function showRoutes(spec: OpenApiDocument, place: HTMLElement) {
  followColorScheme();
  completeNames(place);
  const ui = SwaggerUI({
    spec,
    domNode: place,
    layout: "RoutesLayout",
    deepLinking: true,
    displayRequestDuration: true,
    docExpansion: "list",
    persistAuthorization: false,
    syntaxHighlight: { activated: true, theme: "obsidian" },
    tryItOutEnabled: true,
    validatorUrl: null,
    plugins: [routesAlone, searchInOperations],
    onComplete: () => {
      // The name is that of the document's security scheme.
      if (token.peek() !== null) ui.preauthorizeApiKey("bearer", token.peek());
    },
  });
  return { search: (text: string) => ui.layoutActions.updateFilter(text) };
}

/** The operations, without the title and the list of servers that the page has said already. */
function routesAlone({ React }: System) {
  const element = React.createElement;
  return {
    components: {
      RoutesLayout: ({ getComponent }: Pick<System, "getComponent">) =>
        element(
          "div",
          { className: "swagger-ui" },
          element(getComponent("SvgAssets")),
          element(getComponent("errors", true)),
          element(getComponent("AuthorizeBtnContainer", true)),
          element(getComponent("operations", true)),
        ),
    },
    wrapComponents: {
      // It is a link inside the button that opens the operation, which writes the same address.
      DeepLink: () => (link: { text: string }) => element("span", null, link.text),
    },
  };
}

/** Swagger UI is dark while the root has this class. */
function followColorScheme(): void {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", apply);
  apply();
}
