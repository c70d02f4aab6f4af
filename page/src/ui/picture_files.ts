/** Pictures as files: an SVG element of the page as an SVG or a PNG that looks the same elsewhere. */

const XMLNS = "http://www.w3.org/2000/svg";

/** What of an element's style is written into the file; the file has no style sheet. */
const INHERITED = [
  "color",
  "fill",
  "fill-opacity",
  "font-family",
  "font-size",
  "font-style",
  "font-variant-numeric",
  "font-weight",
  "letter-spacing",
  "paint-order",
  "stroke",
  "stroke-dasharray",
  "stroke-linecap",
  "stroke-linejoin",
  "stroke-opacity",
  "stroke-width",
  "text-anchor",
  "visibility",
  "white-space",
] as const;
/** The same of what children do not inherit, with the value that needs no word. */
const OWN: Readonly<Record<string, string>> = {
  "dominant-baseline": "auto",
  opacity: "1",
  "vector-effect": "none",
};

/** The largest side and area, in pixels, of a canvas that all browsers draw. */
const MAX_SIDE = 16_384;
const MAX_AREA = 2 ** 26;

/** Returns the element as a file that needs no style sheet, over the ground that it stands on. */
export function svgFile(svg: SVGSVGElement): Blob {
  return new Blob([svgText(svg).text], { type: "image/svg+xml" });
}

/**
 * Returns the element as a PNG of `scale` times its size.
 *
 * Throws Error, with a sentence for the reader, if the picture is too large for a canvas.
 */
export async function pngFile(svg: SVGSVGElement, scale: number): Promise<Blob> {
  const { text, width, height } = svgText(svg);
  const pixels = { width: Math.ceil(width * scale), height: Math.ceil(height * scale) };
  if (Math.max(pixels.width, pixels.height) > MAX_SIDE || pixels.width * pixels.height > MAX_AREA) {
    throw new Error(
      `A PNG of ${pixels.width} by ${pixels.height} pixels is too large to draw. Take the SVG, which has no such limit.`,
    );
  }
  const canvas = document.createElement("canvas");
  canvas.width = pixels.width;
  canvas.height = pixels.height;
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("This browser draws no PNG. Take the SVG.");
  context.drawImage(await image(text), 0, 0, pixels.width, pixels.height);
  return await new Promise((resolve, reject) => {
    canvas.toBlob((blob) => {
      if (blob) resolve(blob);
      else reject(new Error("The browser could not write the PNG. Take the SVG."));
    }, "image/png");
  });
}

/** Gives the file to the reader, as any download. */
export function download(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser reads the file after the click.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

function svgText(svg: SVGSVGElement): { text: string; width: number; height: number } {
  const { width, height } = sizeOf(svg);
  const copy = svg.cloneNode(true) as SVGSVGElement;
  writeStyles(svg, copy, null);
  copy.setAttribute("xmlns", XMLNS);
  copy.setAttribute("width", String(width));
  copy.setAttribute("height", String(height));
  const box = svg.viewBox.baseVal;
  const view = box && box.width > 0 ? box : { x: 0, y: 0, width, height };
  copy.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
  const ground = document.createElementNS(XMLNS, "rect");
  for (const name of ["x", "y", "width", "height"] as const) {
    ground.setAttribute(name, String(view[name]));
  }
  ground.setAttribute("fill", groundOf(svg));
  copy.prepend(ground);
  return { text: new XMLSerializer().serializeToString(copy), width, height };
}

/** Returns the size that the element has on the page, or says of itself if it is not shown. */
function sizeOf(svg: SVGSVGElement): { width: number; height: number } {
  const { width, height } = svg.getBoundingClientRect();
  if (width > 0 && height > 0) return { width, height };
  const box = svg.viewBox.baseVal;
  return { width: box?.width || 300, height: box?.height || 150 };
}

/** Returns the first colour behind the element. */
function groundOf(svg: SVGSVGElement): string {
  for (let element: Element | null = svg; element; element = element.parentElement) {
    const colour = getComputedStyle(element).backgroundColor;
    if (colour !== "transparent" && colour !== "rgba(0, 0, 0, 0)") return colour;
  }
  return "white";
}

type Styles = readonly string[];

/** Writes the styles that `from` has and that `to` would not inherit, and those of its children. */
function writeStyles(from: Element, to: Element, inherited: Styles | null): void {
  const computed = getComputedStyle(from);
  const styles = INHERITED.map((name) => computed.getPropertyValue(name));
  const written = INHERITED.flatMap((name, index) => {
    const text = styles[index];
    return text && text !== inherited?.[index] ? [`${name}: ${text}`] : [];
  });
  for (const [name, usual] of Object.entries(OWN)) {
    const text = computed.getPropertyValue(name);
    if (text && text !== usual) written.push(`${name}: ${text}`);
  }
  to.removeAttribute("class");
  if (written.length > 0) to.setAttribute("style", written.join("; "));
  else to.removeAttribute("style");
  const children = Array.from(to.children);
  Array.from(from.children).forEach((child, index) => {
    const copied = children[index];
    if (copied === undefined) return;
    if (child instanceof SVGStyleElement) copied.remove();
    else if (getComputedStyle(child).display === "none") copied.remove();
    else writeStyles(child, copied, styles);
  });
}

async function image(text: string): Promise<HTMLImageElement> {
  const url = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  try {
    const drawn = new Image();
    drawn.src = url;
    await drawn.decode();
    return drawn;
  } finally {
    URL.revokeObjectURL(url);
  }
}
