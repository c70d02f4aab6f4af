/** What of the picture is in view: it is moved by drag, wheel, pinch, keys and buttons. */

import { type Signal, signal } from "@preact/signals";
import type { Size } from "./layout";

/** A point of the picture is shown at its place times `scale`, plus x and y. */
export interface View {
  readonly x: number;
  readonly y: number;
  readonly scale: number;
}
export interface Place extends Size {
  readonly x: number;
  readonly y: number;
}

const MOST = 2.5;
const LEAST = 0.02;
/** At first no picture is smaller than this, so that its names can be read; fitting all may be. */
const LEAST_AT_FIRST = 0.62;
const MARGIN = 16;

export class Viewport {
  /** Whether nothing has been shown yet. */
  isNew = true;
  readonly view: Signal<View> = signal({ x: 0, y: 0, scale: 1 });
  /** The size of the window on the picture, in pixels. */
  size: Size = { width: 0, height: 0 };

  /** Whether it moves to keep or to find a place of its own, and another beside it need not follow. */
  isApart = false;

  /** The name is the beginning of ids in the page. */
  constructor(readonly name: string) {}

  /** Returns the id in the page of an item of the graph. */
  idOf(item: string): string {
    return `${this.name}-${item}`;
  }

  /** Shows the whole picture, or at first its top, if all of it would be too small to read. */
  fit(picture: Size, isFirst = false): void {
    const across = (this.size.width - 2 * MARGIN) / Math.max(1, picture.width);
    const down = (this.size.height - 2 * MARGIN) / Math.max(1, picture.height);
    const whole = Math.min(across, down, 1);
    const scale = clamp(isFirst ? Math.max(whole, LEAST_AT_FIRST) : whole);
    const left = (this.size.width - picture.width * scale) / 2;
    const top = (this.size.height - picture.height * scale) / 2;
    this.view.value = { x: left, y: Math.max(MARGIN, top), scale };
  }

  /** Moves by `move`, while another beside it stays as it is. */
  apart(move: () => void): void {
    this.isApart = true;
    move();
    this.isApart = false;
  }

  pan(dx: number, dy: number): void {
    const { x, y, scale } = this.view.peek();
    this.view.value = { x: x + dx, y: y + dy, scale };
  }

  /** Zooms around a point of the window, by default its middle. */
  zoom(factor: number, at = { x: this.size.width / 2, y: this.size.height / 2 }): void {
    const { x, y, scale } = this.view.peek();
    const next = clamp(scale * factor);
    const by = next / scale;
    this.view.value = { x: at.x - (at.x - x) * by, y: at.y - (at.y - y) * by, scale: next };
  }

  /** Moves a place into the window if it is not there; `isCentred` moves it to the middle. */
  show(place: Place, isCentred = false): void {
    const { x, y, scale } = this.view.peek();
    const zoomed = isCentred ? Math.max(scale, 0.7) : scale;
    const left = place.x * zoomed;
    const top = place.y * zoomed;
    const width = Math.min(place.width * zoomed, this.size.width - 2 * MARGIN);
    const height = Math.min(place.height * zoomed, this.size.height - 2 * MARGIN);
    if (isCentred) {
      const at = {
        x: (this.size.width - width) / 2 - left,
        y: (this.size.height - height) / 2 - top,
      };
      this.view.value = { ...at, scale: zoomed };
      return;
    }
    const inside = (at: number, length: number, room: number) =>
      Math.min(Math.max(at, MARGIN), room - MARGIN - length);
    const dx = inside(left + x, width, this.size.width) - (left + x);
    const dy = inside(top + y, height, this.size.height) - (top + y);
    if (dx !== 0 || dy !== 0) this.pan(dx, dy);
  }

  /** Keeps at its place in the window the top, in the middle, of what was at `before` and is at `after`. */
  hold(before: Place, after: Place): void {
    const { x, y, scale } = this.view.peek();
    this.view.value = {
      x: x + (before.x + before.width / 2 - after.x - after.width / 2) * scale,
      y: y + (before.y - after.y) * scale,
      scale,
    };
  }

  /** Returns the part of the picture that is in the window, and as much again around it. */
  around(): Place {
    const { x, y, scale } = this.view.peek();
    const width = this.size.width / scale;
    const height = this.size.height / scale;
    return {
      x: -x / scale - width / 2,
      y: -y / scale - height / 2,
      width: 2 * width,
      height: 2 * height,
    };
  }

  /** Whether all that is in the window lies in a part of the picture. */
  isWithin(part: Place): boolean {
    const { x, y, scale } = this.view.peek();
    const [left, top] = [-x / scale, -y / scale];
    return (
      left >= part.x &&
      top >= part.y &&
      left + this.size.width / scale <= part.x + part.width &&
      top + this.size.height / scale <= part.y + part.height
    );
  }
}

export function meets(a: Place, b: Place): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

/** Moves the viewport by what the reader does with pointers and wheel over an element. */
export function listenTo(element: SVGSVGElement, viewport: Viewport): () => void {
  const pointers = new Map<number, { x: number; y: number }>();
  let hasMoved = false;
  const placeOf = (event: MouseEvent) => {
    const { left, top } = element.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };
  const onWheel = (event: WheelEvent) => {
    event.preventDefault();
    // Lines and pages, which some mice report, are larger steps than pixels.
    const step = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : event.deltaY * 30;
    if (event.shiftKey) viewport.pan(-step, 0);
    else viewport.zoom(Math.exp(-Math.max(-240, Math.min(240, step)) / 500), placeOf(event));
  };
  const onDown = (event: PointerEvent) => {
    if (event.button !== 0) return;
    pointers.set(event.pointerId, placeOf(event));
    hasMoved = false;
  };
  const onMove = (event: PointerEvent) => {
    const before = pointers.get(event.pointerId);
    if (before === undefined) return;
    const now = placeOf(event);
    // A hand that clicks is not quite still.
    if (!hasMoved && Math.hypot(now.x - before.x, now.y - before.y) < 4) return;
    if (!hasMoved) element.setPointerCapture(event.pointerId);
    hasMoved = true;
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const apart = (at: { x: number; y: number }) => Math.hypot(at.x - other.x, at.y - other.y);
      viewport.zoom(apart(now) / Math.max(1, apart(before)), other);
    } else viewport.pan(now.x - before.x, now.y - before.y);
    pointers.set(event.pointerId, now);
  };
  const onUp = (event: PointerEvent) => pointers.delete(event.pointerId);
  // The click that ends a drag chooses nothing.
  const onClick = (event: MouseEvent) => {
    if (hasMoved) event.stopPropagation();
    hasMoved = false;
  };
  element.addEventListener("wheel", onWheel, { passive: false });
  element.addEventListener("pointerdown", onDown);
  element.addEventListener("pointermove", onMove);
  element.addEventListener("pointerup", onUp);
  element.addEventListener("pointercancel", onUp);
  element.addEventListener("click", onClick, { capture: true });
  return () => {
    element.removeEventListener("wheel", onWheel);
    element.removeEventListener("pointerdown", onDown);
    element.removeEventListener("pointermove", onMove);
    element.removeEventListener("pointerup", onUp);
    element.removeEventListener("pointercancel", onUp);
    element.removeEventListener("click", onClick, { capture: true });
  };
}

function clamp(scale: number): number {
  return Math.min(MOST, Math.max(LEAST, scale));
}
