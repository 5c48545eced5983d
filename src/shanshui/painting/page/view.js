// The drawing on the screen: class ids through a colour table into an image, scaled without smoothing. Two canvases
// lie one above the other: label map below, cursor, previews and marked classes above.

import { union } from "./raster.js";
/** @import { Drawing } from "./drawing.js" */
/** @import { Rect } from "./raster.js" */

/** @typedef {{x: number, y: number}} Point in pixels of the label map */

const FARTHEST = 32;

const contextOf = (canvas) => canvas.getContext("2d");

/** @param {string[]} colours as #rrggbb @returns {Uint32Array} RGBA by class id; ids without a class are nearly black */
export function colourTable(colours) {
	const table = new Uint32Array(256).fill(0xff181818), bytes = new Uint8Array(table.buffer);
	colours.forEach((colour, id) => [1, 3, 5].forEach((at, i) => { bytes[4 * id + i] = parseInt(colour.slice(at, at + 2), 16); }));
	return table;
}

/**
 * Draw a label map into a canvas of its size.
 * @param {HTMLCanvasElement} canvas @param {import("./raster.js").LabelMap} map @param {Uint32Array} table
 */
export function showMap(canvas, map, table) {
	[canvas.width, canvas.height] = [map.width, map.height];
	const context = contextOf(canvas);
	const image = context.createImageData(map.width, map.height);
	const pixels = new Uint32Array(image.data.buffer);
	map.ids.forEach((id, i) => { pixels[i] = table[id]; });
	context.putImageData(image, 0, 0);
}

export class View {
	/**
	 * @param {HTMLCanvasElement} below @param {HTMLCanvasElement} above @param {Drawing} drawing
	 * @param {Uint32Array} table
	 */
	constructor(below, above, drawing, table) {
		this.below = below;
		this.above = above;
		this.drawing = drawing;
		this.table = table;
		this.context = contextOf(below);
		this.over = contextOf(above);
		this.buffer = document.createElement("canvas");
		this.zoom = 1;
		this.offset = { x: 0, y: 0 }; // in pixels of the label map: what is at the left upper corner
		/** @type {Point | null} */ this.cursor = null;
		this.keyboard = false; // the cursor is moved by the keyboard
		/** @type {{tool: string, from: Point, to: Point} | null} */ this.preview = null;
		this.marked = -1; // class whose pixels are marked
		/** @type {Rect | "all" | null} */ this.dirty = "all";
		this.waiting = false;
		drawing.addEventListener("change", (event) => this.#changed(/** @type {CustomEvent} */ (event).detail));
		drawing.addEventListener("settings", () => this.refresh());
		new ResizeObserver(() => this.#fit()).observe(below);
		this.#renew();
	}

	/** Pixels of the screen per pixel of the label map. */
	get scale() { return (this.below.width / this.drawing.width) * this.zoom; }

	/** Convert a position of an event. */
	point(event) {
		const box = this.below.getBoundingClientRect();
		const ratio = this.below.width / box.width / this.scale;
		return { x: this.offset.x + (event.clientX - box.left) * ratio, y: this.offset.y + (event.clientY - box.top) * ratio };
	}

	/** Zoom by a factor, keeping a point of the label map where it is on the screen. */
	zoomBy(factor, at) {
		const { width, height } = this.drawing;
		at = at || { x: this.offset.x + width / this.zoom / 2, y: this.offset.y + height / this.zoom / 2 };
		const zoom = Math.max(1, Math.min(FARTHEST, this.zoom * factor));
		const kept = this.zoom / zoom;
		this.offset = { x: at.x - (at.x - this.offset.x) * kept, y: at.y - (at.y - this.offset.y) * kept };
		this.zoom = zoom;
		this.#move();
	}

	/** Move the label map by screen coordinates of events. */
	panBy(dx, dy) {
		const ratio = this.below.width / this.below.getBoundingClientRect().width / this.scale;
		this.offset = { x: this.offset.x - dx * ratio, y: this.offset.y - dy * ratio };
		this.#move();
	}

	fit() {
		[this.zoom, this.offset] = [1, { x: 0, y: 0 }];
		this.#move();
	}

	/** Scroll so that a point can be seen. */
	reveal(p) {
		const [w, h] = [this.drawing.width / this.zoom, this.drawing.height / this.zoom];
		if (p.x < this.offset.x) this.offset.x = p.x;
		if (p.y < this.offset.y) this.offset.y = p.y;
		if (p.x > this.offset.x + w) this.offset.x = p.x - w;
		if (p.y > this.offset.y + h) this.offset.y = p.y - h;
		this.#move();
	}

	#move() {
		const { width, height } = this.drawing;
		const limit = (value, size) => Math.max(0, Math.min(size - size / this.zoom, value));
		this.offset = { x: limit(this.offset.x, width), y: limit(this.offset.y, height) };
		this.dirty = "all";
		this.refresh();
		this.below.dispatchEvent(new CustomEvent("zoomed", { detail: this.zoom }));
	}

	/** Mark the pixels of a class, or none with -1. */
	mark(id) {
		if (this.marked === id) return;
		this.marked = id;
		this.refresh();
	}

	/** Draw in the next frame. */
	refresh() {
		if (this.waiting) return;
		this.waiting = true;
		requestAnimationFrame(() => {
			this.waiting = false;
			this.#draw();
		});
	}

	#changed({ rect }) {
		if (!rect) this.#renew();
		else if (rect.x1 > rect.x0) {
			this.#copy(rect);
			if (this.dirty !== "all") this.dirty = union(this.dirty, rect);
		}
		this.refresh();
	}

	/** Build the image of the whole label map. */
	#renew() {
		const { width, height, map } = this.drawing;
		if (this.buffer.width !== width || this.buffer.height !== height) {
			this.below.style.aspectRatio = `${width} / ${height}`;
			[this.zoom, this.offset] = [1, { x: 0, y: 0 }];
		}
		showMap(this.buffer, map, this.table);
		this.#fit();
	}

	/** Copy a changed rectangle into the image. */
	#copy({ x0, y0, x1, y1 }) {
		const { ids, width } = this.drawing, context = contextOf(this.buffer);
		const part = context.createImageData(x1 - x0, y1 - y0), pixels = new Uint32Array(part.data.buffer);
		for (let y = y0, i = 0; y < y1; y++) for (let x = x0; x < x1; x++) pixels[i++] = this.table[ids[y * width + x]];
		context.putImageData(part, x0, y0);
	}

	/** Give the canvases the resolution of the screen. */
	#fit() {
		const box = this.below.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
		const [w, h] = [Math.max(1, Math.round(box.width * ratio)), Math.max(1, Math.round(box.height * ratio))];
		for (const canvas of [this.below, this.above]) {
			if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
		}
		this.dirty = "all";
		this.refresh();
	}

	#draw() {
		const { context, scale, offset, dirty } = this;
		if (dirty) {
			context.save();
			context.imageSmoothingEnabled = false;
			if (dirty !== "all") {
				context.beginPath();
				const x = Math.floor((dirty.x0 - offset.x) * scale) - 1, y = Math.floor((dirty.y0 - offset.y) * scale) - 1;
				context.rect(x, y, Math.ceil((dirty.x1 - dirty.x0) * scale) + 2, Math.ceil((dirty.y1 - dirty.y0) * scale) + 2);
				context.clip();
			}
			context.setTransform(scale, 0, 0, scale, -offset.x * scale, -offset.y * scale);
			context.drawImage(this.buffer, 0, 0);
			context.restore();
			this.dirty = null;
		}
		this.#drawOver();
	}

	#drawOver() {
		const { over, above, scale, offset, cursor, preview, drawing } = this;
		over.setTransform(1, 0, 0, 1, 0, 0);
		over.clearRect(0, 0, above.width, above.height);
		over.setTransform(scale, 0, 0, scale, -offset.x * scale, -offset.y * scale);
		if (this.marked >= 0) this.#drawMarked();
		if (preview) this.#outline(() => previewPath(over, preview, drawing.size));
		if (!cursor) return;
		const px = Math.floor(cursor.x), py = Math.floor(cursor.y);
		const round = ["brush", "eraser", "line"].includes(drawing.tool) && !preview;
		if (round && drawing.size * scale > 6) {
			const shift = drawing.size % 2 ? 0.5 : 0;
			this.#outline(() => over.arc(px + shift, py + shift, drawing.size / 2, 0, 2 * Math.PI));
		}
		if (this.keyboard) this.#outline(() => {
			const arm = 10 / scale, middle = { x: px + 0.5, y: py + 0.5 };
			over.moveTo(middle.x - arm, middle.y); over.lineTo(middle.x + arm, middle.y);
			over.moveTo(middle.x, middle.y - arm); over.lineTo(middle.x, middle.y + arm);
		});
	}

	/** Draw a path so that it is seen on any colour. */
	#outline(path) {
		const { over, scale } = this, ratio = window.devicePixelRatio || 1;
		for (const [width, colour] of /** @type {[number, string][]} */ ([[3.5, "rgba(0,0,0,.55)"], [1.5, "#fff"]])) {
			over.beginPath();
			path();
			[over.lineWidth, over.strokeStyle] = [(width * ratio) / scale, colour];
			over.stroke();
		}
	}

	/** Darken everything but the marked class, and draw a white line around it. */
	#drawMarked() {
		const { drawing: { ids, width, height }, marked } = this;
		const mask = document.createElement("canvas");
		[mask.width, mask.height] = [width, height];
		const context = contextOf(mask);
		const image = context.createImageData(width, height), pixels = new Uint32Array(image.data.buffer);
		for (let i = 0; i < ids.length; i++) {
			if (ids[i] === marked) continue;
			const x = i % width;
			const edge = (x > 0 && ids[i - 1] === marked) || (x < width - 1 && ids[i + 1] === marked)
				|| ids[i - width] === marked || ids[i + width] === marked;
			pixels[i] = edge ? 0xffffffff : 0xa0101418;
		}
		context.putImageData(image, 0, 0);
		this.over.imageSmoothingEnabled = false;
		this.over.drawImage(mask, 0, 0);
	}
}

function previewPath(context, { tool, from, to }, size) {
	const [ax, ay, bx, by] = [from.x, from.y, to.x, to.y].map(Math.floor);
	const [x, y, w, h] = [Math.min(ax, bx), Math.min(ay, by), Math.abs(bx - ax) + 1, Math.abs(by - ay) + 1];
	if (tool === "rectangle") context.rect(x, y, w, h);
	else if (tool === "ellipse") context.ellipse(x + w / 2, y + h / 2, w / 2, h / 2, 0, 0, 2 * Math.PI);
	else {
		const shift = size % 2 ? 0.5 : 0, angle = Math.atan2(by - ay, bx - ax), r = size / 2;
		context.arc(ax + shift, ay + shift, r, angle + Math.PI / 2, angle - Math.PI / 2);
		context.arc(bx + shift, by + shift, r, angle - Math.PI / 2, angle + Math.PI / 2);
		context.closePath();
	}
}
