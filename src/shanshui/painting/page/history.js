// Undo and redo over whole label maps, kept as runs of equal ids: drawings compress to a few kilobytes.

/** @import { LabelMap } from "./raster.js" */
/** @typedef {{width: number, height: number, runs: Uint32Array}} Packed */

export const STEPS = 100;

/** @param {LabelMap} map @returns {Packed} runs: length * 256 + id */
export function pack({ ids, width, height }) {
	const runs = [];
	for (let i = 0; i < ids.length;) {
		const start = i, id = ids[i];
		while (i < ids.length && ids[i] === id) i++;
		runs.push((i - start) * 256 + id);
	}
	return { width, height, runs: Uint32Array.from(runs) };
}

/** @param {Packed} packed @returns {LabelMap} */
export function unpack({ width, height, runs }) {
	const ids = new Uint8Array(width * height);
	let at = 0;
	for (const run of runs) {
		const end = at + (run >>> 8);
		ids.fill(run & 255, at, end);
		at = end;
	}
	return { ids, width, height };
}

export class History {
	constructor() {
		/** @type {Packed[]} */ this.past = [];
		/** @type {Packed[]} */ this.future = [];
	}

	/** Keep what a change started from. */
	record(before) {
		this.past.push(before);
		if (this.past.length > STEPS) this.past.shift();
		this.future = [];
	}

	undo(now) {
		return this.#swap(this.past, this.future, now);
	}

	redo(now) {
		return this.#swap(this.future, this.past, now);
	}

	#swap(from, to, now) {
		const found = from.pop();
		if (!found) return null;
		to.push(pack(now));
		return unpack(found);
	}
}
