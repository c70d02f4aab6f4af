/** Paints marks on a canvas, off the main thread. */

import type { Marks, Picture } from "./marks";

let canvas: OffscreenCanvas | null = null;
let latest: Picture | null = null;

self.onmessage = ({ data }: MessageEvent<Picture>) => {
  canvas = data.canvas ?? canvas;
  // Of what has come while a picture was painted, only the last is.
  if (latest === null) setTimeout(paint, 0);
  latest = data;
};

function paint(): void {
  const [picture, context] = [latest, canvas?.getContext("2d")];
  latest = null;
  if (picture === null || canvas === null || !context) return;
  const { width, height, pixelRatio } = picture;
  canvas.width = Math.round(width * pixelRatio);
  canvas.height = Math.round(height * pixelRatio);
  context.scale(pixelRatio, pixelRatio);
  for (const marks of picture.marks) {
    context.globalAlpha = marks.opacity;
    context.fillStyle = context.strokeStyle = marks.colour;
    context.lineWidth = marks.thickness;
    for (const part of marks.parts) {
      if (marks.radius === undefined) lines(context, part);
      else dots(context, part, marks.radius);
    }
  }
}

function lines(context: OffscreenCanvasRenderingContext2D, part: Marks["parts"][number]): void {
  context.beginPath();
  let isPenDown = false;
  for (let at = 0; at < part.length; at += 2) {
    const [x, y] = [part[at] as number, part[at + 1] as number];
    const isThere = !Number.isNaN(y);
    if (isThere && isPenDown) context.lineTo(x, y);
    else if (isThere) context.moveTo(x, y);
    isPenDown = isThere;
  }
  context.stroke();
}

function dots(
  context: OffscreenCanvasRenderingContext2D,
  part: Marks["parts"][number],
  radius: number,
): void {
  for (let at = 0; at < part.length; at += 2) {
    context.beginPath();
    context.arc(part[at] as number, part[at + 1] as number, radius, 0, 2 * Math.PI);
    context.fill();
  }
}
