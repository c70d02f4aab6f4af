/** Names and keyboard access that Swagger UI does not give to what it renders. */

const NAMES: readonly [selector: string, name: string][] = [
  ["textarea.body-param__text", "Request body"],
  [".examples-select-element", "Example"],
  [".content-type-wrapper select, select.content-type", "Media type"],
  [".parameters select, .parameters input, .parameters textarea", "Value"],
  [".body-param input[type=file]", "File"],
];
const SCROLLING = "pre, .model-box, .body-param__example, .renderedMarkdown code";

/** Names what is without a name, now and whenever something is added. */
export function completeNames(place: HTMLElement): void {
  const complete = () => {
    for (const [selector, name] of NAMES) {
      for (const each of place.querySelectorAll<HTMLElement>(selector)) {
        if (!each.ariaLabel && !isLabelled(each)) each.ariaLabel = nameOf(each, name);
      }
    }
    for (const each of place.querySelectorAll<HTMLElement>(SCROLLING)) {
      if (each.tabIndex < 0) each.tabIndex = 0;
    }
  };
  new MutationObserver(complete).observe(place, { childList: true, subtree: true });
}

function isLabelled(each: HTMLElement): boolean {
  return "labels" in each && (each.labels as NodeList | null)?.length !== 0;
}

/** Returns the name of the parameter in whose row the control is, or else what it is. */
function nameOf(control: HTMLElement, otherwise: string): string {
  return control.closest("tr")?.dataset.paramName ?? otherwise;
}
