// The loop that keeps the image up to date: one request at a time, always with the latest drawing.

import * as api from "./api.js";
/** @import { Drawing } from "./drawing.js" */

const PAUSE = 150; // ms between requests while drawing

/**
 * Sends "start", "image" (detail Made), "failed" (detail Refused), "idle" and "stale" (the drawing is newer).
 */
export class Live extends EventTarget {
	/**
	 * @param {string} client name of this page @param {Drawing} drawing @param {() => api.Look} look @param {() => boolean} drawingNow whether a stroke is being drawn
	 */
	constructor(client, drawing, look, drawingNow) {
		super();
		this.client = client;
		this.drawing = drawing;
		this.look = look;
		this.drawingNow = drawingNow;
		this.on = true; // generate without being asked
		this.during = true; // also while drawing
		this.number = 0;
		this.stale = true;
		this.asked = false; // by a person, while a request was under way
		this.flying = false;
		this.seconds = 0; // of the last image
		this.sent = -Infinity;
		this.timer = 0;
		drawing.addEventListener("change", (event) => this.changed(/** @type {CustomEvent} */ (event).detail.ended));
	}

	/** The drawing, the seed or the style changed. */
	changed(ended = true) {
		this.stale = true;
		this.dispatchEvent(new Event("stale"));
		if (this.on && (ended || this.during)) this.#soon(ended);
	}

	/** Generate now. */
	request() {
		this.asked = true;
		this.#soon(true);
	}

	#soon(ended) {
		if (this.flying) return; // sent when the answer is there
		const pause = ended ? 0 : Math.max(PAUSE, 1200 * this.seconds) - (performance.now() - this.sent);
		clearTimeout(this.timer);
		if (pause <= 0) this.#send();
		else this.timer = setTimeout(() => this.#send(), pause);
	}

	async #send() {
		clearTimeout(this.timer);
		if (this.flying) return;
		[this.flying, this.stale, this.asked, this.sent] = [true, false, false, performance.now()];
		const number = ++this.number, { map } = this.drawing, look = this.look();
		this.dispatchEvent(new Event("start"));
		let again = 0;
		try {
			const made = await api.generate({ ...map, ids: map.ids.slice() }, look, this.client, number);
			if (made) {
				if (!made.cached) this.seconds = (performance.now() - this.sent) / 1000;
				this.dispatchEvent(new CustomEvent("image", { detail: { ...made, seed: look.seed } }));
			} else this.stale = true;
		} catch (error) {
			if (!(error instanceof api.Refused)) throw error;
			this.dispatchEvent(new CustomEvent("failed", { detail: error }));
			if (["busy", "not_ready", "too_many"].includes(error.code)) {
				again = Math.max(1, error.wait);
				this.stale = true;
			}
		} finally {
			this.flying = false;
		}
		if (again) this.timer = setTimeout(() => this.#send(), 1000 * again);
		else if (this.asked || (this.stale && this.on && (this.during || !this.drawingNow()))) this.#soon(!this.drawingNow());
		else this.dispatchEvent(new Event("idle"));
	}
}
