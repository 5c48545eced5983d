// The drawing: the label map, what it is drawn with, and its history. Everything else only looks at it.

import { History, pack } from "./history.js";
import * as raster from "./raster.js";
/** @import { LabelMap, Rect } from "./raster.js" */

const SLOTS = 9;
const NOTHING = { x0: 0, y0: 0, x1: 0, y1: 0 };

/**
 * Sends "change" (detail {rect, ended}) when ids changed, and "settings" when a tool, class or lock did.
 */
export class Drawing extends EventTarget {
	/** @param {LabelMap} map @param {number} current class id to draw with @param {number[]} recent classes for the slots */
	constructor(map, current, recent) {
		super();
		this.map = map;
		/** What the eraser brings back. @type {Uint8Array} */ this.ground = map.ids.slice();
		this.history = new History();
		this.locked = new Uint8Array(256);
		this.current = current;
		/** Slots of the recent classes, which keep their places. @type {number[]} */ this.recent = recent.slice(0, SLOTS);
		/** @type {Map<number, number>} */ this.used = new Map();
		this.tool = "brush";
		this.size = 24;
		this.gap = 4;
		/** @type {import("./history.js").Packed | null} */ this.before = null;
		this.touched = false;
	}

	get ids() { return this.map.ids; }
	get width() { return this.map.width; }
	get height() { return this.map.height; }

	/** The class at a position, or -1 outside. */
	at(x, y) {
		const [px, py] = [Math.floor(x), Math.floor(y)];
		return px < 0 || py < 0 || px >= this.width || py >= this.height ? -1 : this.ids[py * this.width + px];
	}

	/** What the tool in use draws with. */
	source() {
		const { ground, current } = this;
		return this.tool === "eraser" ? (i) => ground[i] : raster.constant(current);
	}

	/** Begin a change that is one step of the history. */
	begin() {
		if (!this.before) this.before = pack(this.map);
		this.touched = false;
	}

	/** Apply a function of raster.js between `begin` and `end`. */
	apply(change) {
		const rect = change(this.map, this.locked);
		if (!rect) return;
		this.touched = true;
		this.#changed(rect, false);
	}

	/** End a change. */
	end() {
		const { before, touched } = this;
		this.before = null;
		if (!before || !touched) return false;
		this.history.record(before);
		if (this.tool !== "eraser") this.#use();
		this.dispatchEvent(new CustomEvent("change", { detail: { rect: NOTHING, ended: true } }));
		return true;
	}

	/** One change at once. */
	once(change) {
		this.begin();
		this.apply(change);
		return this.end();
	}

	/**
	 * Take another label map: an example, an imported file, another size.
	 * @param {LabelMap} map @param {{ground?: Uint8Array, fresh?: boolean}} [options] ground: for the eraser; fresh: forget all
	 */
	take(map, { ground, fresh = false } = {}) {
		this.before = null;
		if (fresh) this.history = new History();
		else this.history.record(pack(this.map));
		if (fresh) this.locked.fill(0);
		this.#set(map, ground);
	}

	undo() { if (!this.before) this.#restore(this.history.undo(this.map)); }
	redo() { if (!this.before) this.#restore(this.history.redo(this.map)); }

	#restore(map) {
		if (map) this.#set(map);
	}

	#set(map, ground) {
		const other = map.width !== this.width || map.height !== this.height;
		if (ground) this.ground = ground;
		else if (other) this.ground = raster.resized({ ...this.map, ids: this.ground }, map.width, map.height).ids;
		this.map = map;
		this.#changed(null, true);
	}

	#changed(rect, ended) {
		this.dispatchEvent(new CustomEvent("change", { detail: { rect, ended } }));
	}

	// --- settings ---------------------------------------------------------------------------------------------------

	set(values) {
		Object.assign(this, values);
		this.size = Math.max(1, Math.min(raster.MAX_SIZE, Math.round(this.size)));
		this.#settings();
	}

	/** Draw with this class from now on. */
	choose(id) {
		this.current = id;
		this.#settings();
	}

	/** Put a class that was drawn with into a slot: a free one, or that of the class not used for longest. */
	#use() {
		const { current, recent, used } = this;
		used.set(current, used.size ? Math.max(...used.values()) + 1 : 1);
		if (recent.includes(current)) return;
		const oldest = recent.reduce((a, b) => ((used.get(a) || 0) <= (used.get(b) || 0) ? a : b), recent[0]);
		if (recent.length < SLOTS) recent.push(current);
		else recent[recent.indexOf(oldest)] = current;
		this.#settings();
	}

	lock(id, on = !this.locked[id]) {
		this.locked[id] = on ? 1 : 0;
		this.#settings();
	}

	unlockAll() {
		this.locked.fill(0);
		this.#settings();
	}

	#settings() {
		this.dispatchEvent(new CustomEvent("settings"));
	}
}
