// Drawing with the keyboard, and shortcuts.

import { say, writeClass } from "./controls.js";
import { input } from "./dom.js";
import * as i18n from "./i18n.js";
import { AT_ONE_POINT, drawSegment, drawShape, isShape, useAt } from "./pointer.js";
/** @import { Drawing } from "./drawing.js" */
/** @import { View, Point } from "./view.js" */
/** @import { Palette } from "./palette.js" */
/** @import { Pointers } from "./pointer.js" */

const ARROWS = {
	ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
};

/** @param {Drawing} drawing @param {View} view @param {Palette} palette @param {Pointers} pointers */
export function keyboardDrawing(drawing, view, palette, pointers) {
	const canvas = view.below;
	let held = false, timer = 0;
	/** @type {Point | null} */ let corner = null;

	const tell = () => {
		clearTimeout(timer);
		timer = setTimeout(() => {
			const at = view.cursor;
			if (at && view.keyboard) say(writeClass(drawing, palette, at));
		}, 250);
	};
	const move = ([dx, dy], steps) => {
		const { width, height } = drawing, first = !view.keyboard;
		const from = (!first && view.cursor) || { x: width / 2, y: height / 2 };
		const limit = (value, size) => Math.max(0, Math.min(size - 1, Math.floor(value))) + 0.5;
		const to = first ? from : { x: limit(from.x + dx * steps, width), y: limit(from.y + dy * steps, height) };
		[view.keyboard, view.cursor] = [true, to];
		if (held) drawSegment(drawing, from, to);
		if (corner) view.preview = { tool: drawing.tool, from: corner, to };
		view.reveal(to);
		tell();
	};

	const press = (at) => {
		const { tool } = drawing;
		if (AT_ONE_POINT.includes(tool)) useAt(drawing, tool, at);
		else if (!isShape(tool)) {
			held = true;
			drawing.begin();
			drawSegment(drawing, at, at);
		} else if (corner) {
			drawShape(drawing, tool, corner, at);
			[corner, view.preview] = [null, null];
		} else {
			corner = at;
			say(() => i18n.t("corner", { name: i18n.t(`tool_${tool}`), x: Math.floor(at.x), y: Math.floor(at.y) }));
		}
		view.refresh();
	};
	const release = () => {
		if (held) drawing.end();
		held = false;
	};

	canvas.addEventListener("keydown", (event) => {
		if (event.ctrlKey || event.metaKey || event.altKey) return;
		const arrow = ARROWS[event.key];
		if (arrow) move(arrow, event.shiftKey ? 10 : 1);
		else if (event.key === " " && view.keyboard && view.cursor) {
			if (!event.repeat) press(view.cursor);
		} else if (event.key === " ") pointers.spaceHeld = true;
		else if (event.key === "Enter" && view.keyboard && view.cursor) useAt(drawing, "fill", view.cursor);
		else if (event.key === "Escape") {
			[corner, view.preview] = [null, null];
			pointers.abandon();
			view.refresh();
		} else return;
		event.preventDefault();
		event.stopPropagation();
	});
	canvas.addEventListener("keyup", (event) => {
		if (event.key !== " ") return;
		pointers.spaceHeld = false;
		release();
	});
	canvas.addEventListener("blur", () => {
		pointers.spaceHeld = false;
		release();
		if (!view.keyboard) return;
		[view.keyboard, view.cursor, corner, view.preview] = [false, null, null, null];
		view.refresh();
	});
	drawing.addEventListener("settings", () => { corner = null; });
}

/** What each key does; shown in the help. @type {[string, string][]} */
export const LIST = [
	["B E L R O G X I", "key_tools"], ["[ ]", "key_size"], ["Ctrl+Z Ctrl+Shift+Z Ctrl+Y", "key_undo"], ["1 … 9", "key_recent"],
	["/", "key_search"], ["P", "key_protect"], ["D", "key_dice"], ["Enter", "key_now"], ["Ctrl+S", "key_save"],
	["+ - 0", "key_zoom"], ["Space", "key_pan"], ["Shift", "key_shift"], ["?", "key_help"],
];
const TOOLS = {
	b: "brush", e: "eraser", l: "line", r: "rectangle", o: "ellipse", g: "fill", x: "replace", i: "pick",
};

/** @param {Drawing} drawing @param {View} view @param {Record<"dice" | "now" | "save" | "help", () => void>} actions */
export function shortcuts(drawing, view, actions) {
	document.addEventListener("keydown", (event) => {
		if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
		const key = event.key.toLowerCase();
		if ((event.ctrlKey || event.metaKey) && !event.altKey) {
			if (inField(event.target) && key !== "s") return;
			if (key === "z" && event.shiftKey) drawing.redo();
			else if (key === "z") drawing.undo();
			else if (key === "y") drawing.redo();
			else if (key === "s") actions.save();
			else return;
			return event.preventDefault();
		}
		const target = /** @type {HTMLElement} */ (event.target);
		if (event.altKey || event.ctrlKey || event.metaKey || inField(target)) return;
		if (key === "enter") {
			if (target.closest("button, select, input, a")) return;
			actions.now();
		} else if (!input("letters").checked) return;
		else if (TOOLS[key]) drawing.set({ tool: TOOLS[key] });
		else if (key === "[") drawing.set({ size: Math.min(drawing.size - 1, drawing.size / 1.25) });
		else if (key === "]") drawing.set({ size: Math.max(drawing.size + 1, drawing.size * 1.25) });
		else if (/^[1-9]$/.test(key)) {
			const id = drawing.recent[Number(key) - 1];
			if (id !== undefined) drawing.choose(id);
		} else if (key === "p") drawing.lock(drawing.current);
		else if (key === "/") input("search").focus();
		else if (key === "d") actions.dice();
		else if (key === "+" || key === "=") view.zoomBy(1.5);
		else if (key === "-") view.zoomBy(1 / 1.5);
		else if (key === "0") view.fit();
		else if (key === "?") actions.help();
		else return;
		event.preventDefault();
	});
}

/** Whether letters typed there are text. */
const inField = (target) => target.matches?.("select, input:not([type=checkbox]):not([type=range])");
