// Mouse, pen and fingers on the drawing: strokes and shapes with one of them, zoom and movement with two fingers.

import * as raster from "./raster.js";
/** @import { Drawing } from "./drawing.js" */
/** @import { View, Point } from "./view.js" */

/** @type {Record<string, raster.Shape>} */
const SHAPES = { line: raster.stroke, rectangle: raster.rectangle, ellipse: raster.ellipse };
/** @param {string} tool whether it needs two points */
export const isShape = (tool) => tool in SHAPES;
export const AT_ONE_POINT = ["fill", "replace", "pick"];
const PEN_SECONDS = 1; // a touch this soon after a pen is the palm

/**
 * Draw the shape of a tool between two points, as one step of the history.
 * @param {Drawing} drawing @param {string} tool @param {Point} from @param {Point} to
 */
export function drawShape(drawing, tool, from, to) {
	const source = raster.constant(drawing.current);
	drawing.once((map, locked) => SHAPES[tool](map, from.x, from.y, to.x, to.y, source, locked, drawing.size));
}

/** Draw a part of a stroke. @param {Drawing} drawing @param {Point} from @param {Point} to @param {number} [size] */
export function drawSegment(drawing, from, to, size = drawing.size) {
	const source = drawing.source();
	drawing.apply((map, locked) => raster.stroke(map, from.x, from.y, to.x, to.y, source, locked, size));
}

/**
 * Use a tool that needs one point only: fill, replace, pick.
 * @param {Drawing} drawing @param {string} tool @param {Point} at
 */
export function useAt(drawing, tool, at) {
	const found = drawing.at(at.x, at.y), source = raster.constant(drawing.current);
	if (found < 0 || !AT_ONE_POINT.includes(tool)) return;
	if (tool === "pick") drawing.choose(found);
	else if (tool === "fill") drawing.once((map, locked) => raster.fill(map, at.x, at.y, source, locked, drawing.gap));
	else drawing.once((map, locked) => raster.replace(map, found, source, locked));
}

export class Pointers {
	/** @param {HTMLElement} target @param {Drawing} drawing @param {View} view */
	constructor(target, drawing, view) {
		this.target = target;
		this.drawing = drawing;
		this.view = view;
		/** @type {Map<number, {x: number, y: number}>} */ this.fingers = new Map();
		/** @type {number | null} */ this.active = null; // pointer that draws
		/** @type {"draw" | "shape" | "tap" | "pan" | null} */ this.action = null;
		/** @type {Point} */ this.from = { x: 0, y: 0 };
		this.last = { x: 0, y: 0, size: 1 };
		this.spaceHeld = false;
		this.lastPen = -Infinity;
		for (const name of ["down", "move", "up", "cancel", "leave"]) target.addEventListener(`pointer${name}`, (e) => this[name](e));
		target.addEventListener("contextmenu", (event) => event.preventDefault());
		target.addEventListener("wheel", (event) => {
			event.preventDefault();
			view.zoomBy(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), view.point(event));
		}, { passive: false });
	}

	/** Whether a stroke or shape is being drawn. */
	get busy() { return this.active !== null; }

	down(event) {
		this.target.focus({ preventScroll: true });
		if (event.pointerType === "pen") this.lastPen = event.timeStamp;
		if (event.pointerType === "touch") {
			if (event.timeStamp - this.lastPen < PEN_SECONDS * 1000) return;
			this.fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
			if (this.fingers.size === 2) {
				this.abandon();
				this.action = "pan";
			}
			if (this.fingers.size > 1) return;
		}
		if (this.active !== null) return;
		const at = this.view.point(event);
		this.view.keyboard = false;
		if (event.button === 1 || this.spaceHeld) this.action = "pan";
		else if (event.button !== 0 && event.button !== -1) return void useAt(this.drawing, "pick", at); // pen's or right button
		else if (AT_ONE_POINT.includes(this.drawing.tool)) this.action = "tap";
		else this.action = isShape(this.drawing.tool) ? "shape" : "draw";
		event.preventDefault();
		this.active = event.pointerId;
		this.target.setPointerCapture(event.pointerId);
		this.from = at;
		this.last = { ...at, size: this.brush(event) };
		if (this.action === "pan") this.fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
		if (this.action !== "draw") return;
		this.drawing.begin();
		this.segment(at, this.last.size);
	}

	move(event) {
		if (event.pointerType === "pen") this.lastPen = event.timeStamp;
		if (this.action === "pan") return this.pan(event);
		if (event.pointerType !== "touch" && !this.view.keyboard) this.view.cursor = this.view.point(event);
		if (event.pointerId === this.active && this.action === "draw") {
			const all = event.getCoalescedEvents?.() ?? [];
			for (const each of all.length ? all : [event]) this.segment(this.view.point(each), this.brush(each));
		}
		if (event.pointerId === this.active && this.action === "shape") {
			this.view.preview = { tool: this.drawing.tool, from: this.from, to: this.end(event) };
		}
		this.view.refresh();
	}

	up(event) {
		this.fingers.delete(event.pointerId);
		if (event.pointerId === this.active) {
			const { action } = this;
			this.release();
			if (action === "draw") this.drawing.end();
			if (action === "tap") useAt(this.drawing, this.drawing.tool, this.from); // not before: a second finger may come
			if (action === "shape") drawShape(this.drawing, this.drawing.tool, this.from, this.end(event));
		} else if (!this.fingers.size) this.action = null;
	}

	cancel(event) {
		this.fingers.delete(event.pointerId);
		if (event.pointerId === this.active) this.abandon();
		if (!this.fingers.size) this.action = null;
	}

	leave() {
		if (this.view.keyboard) return;
		this.view.cursor = null;
		this.view.refresh();
	}

	/** Take back what the pointer in use has drawn so far: a second finger came, or Escape. */
	abandon() {
		const drew = this.action === "draw" && this.active !== null;
		this.release();
		if (drew && this.drawing.end()) {
			this.drawing.undo();
			this.drawing.history.future.pop();
		}
	}

	release() {
		if (this.active !== null && this.target.hasPointerCapture(this.active)) this.target.releasePointerCapture(this.active);
		[this.active, this.action, this.view.preview] = [null, null, null];
		this.view.refresh();
	}

	/** End of a shape; with Shift a square, a circle, or a line at multiples of 45 degrees. */
	end(event) {
		const to = this.view.point(event), { from } = this;
		if (!event.shiftKey) return to;
		const [dx, dy] = [to.x - from.x, to.y - from.y], side = Math.max(Math.abs(dx), Math.abs(dy));
		if (this.drawing.tool !== "line") return { x: from.x + Math.sign(dx) * side, y: from.y + Math.sign(dy) * side };
		const angle = Math.round(Math.atan2(dy, dx) / (Math.PI / 4)) * (Math.PI / 4), length = Math.hypot(dx, dy);
		return { x: from.x + length * Math.cos(angle), y: from.y + length * Math.sin(angle) };
	}

	/** Size of the brush: a pen's pressure makes it half to whole. */
	brush(event) {
		const { size } = this.drawing;
		return event.pointerType === "pen" ? Math.max(1, Math.round(size * (0.5 + 0.5 * event.pressure))) : size;
	}

	segment(to, size) {
		drawSegment(this.drawing, this.last, to, size);
		this.last = { ...to, size };
	}

	/** Move, and with two fingers zoom. */
	pan(event) {
		const before = this.fingers.get(event.pointerId);
		if (!before) return;
		const others = [...this.fingers].filter(([id]) => id !== event.pointerId).map(([, p]) => p);
		const now = { x: event.clientX, y: event.clientY };
		this.fingers.set(event.pointerId, now);
		const share = others.length ? 0.5 : 1;
		this.view.panBy((now.x - before.x) * share, (now.y - before.y) * share);
		if (!others.length) return;
		const [was, is] = [before, now].map((p) => Math.hypot(p.x - others[0].x, p.y - others[0].y));
		const middle = { clientX: (now.x + others[0].x) / 2, clientY: (now.y + others[0].y) / 2 };
		if (was > 0) this.view.zoomBy(is / was, this.view.point(middle));
	}
}
