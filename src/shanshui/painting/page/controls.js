// Tools, sizes, history, zoom and the line under the drawing.

import { $, all, input } from "./dom.js";
import * as i18n from "./i18n.js";
import { shares } from "./raster.js";
/** @import { Drawing } from "./drawing.js" */
/** @import { View } from "./view.js" */
/** @import { Palette } from "./palette.js" */

/** Say a text to screen readers and in the state line. @param {() => string} text */
export const say = (text) => [$("state"), $("empty")].forEach((place) => i18n.write(place, text));

/** @param {Drawing} drawing @param {View} view @param {Palette} palette */
export function controls(drawing, view, palette) {
	const tools = all("[data-tool]");
	for (const button of tools) button.addEventListener("click", () => drawing.set({ tool: button.dataset.tool }));
	input("size").addEventListener("input", () => drawing.set({ size: input("size").valueAsNumber }));
	input("gap").addEventListener("input", () => drawing.set({ gap: input("gap").valueAsNumber }));
	$("undo").addEventListener("click", () => drawing.undo());
	$("redo").addEventListener("click", () => drawing.redo());
	$("zoom-in").addEventListener("click", () => view.zoomBy(1.5));
	$("zoom-out").addEventListener("click", () => view.zoomBy(1 / 1.5));
	$("zoom-fit").addEventListener("click", () => view.fit());
	$("describe").addEventListener("click", () => {
		const counts = shares(drawing.ids), total = drawing.ids.length;
		const text = () => i18n.t("contains", { list: palette.describe(counts, total) });
		i18n.write($("under-cursor"), text);
		say(text);
	});

	const settings = () => {
		for (const button of tools) button.ariaPressed = String(button.dataset.tool === drawing.tool);
		input("size").valueAsNumber = drawing.size;
		input("gap").valueAsNumber = drawing.gap;
		i18n.write($("size-value"), () => i18n.t("pixels", { n: i18n.number(drawing.size) }));
		i18n.write($("gap-value"), () => i18n.t("pixels", { n: i18n.number(drawing.gap) }));
		$("gap-slider").hidden = drawing.tool !== "fill";
		$("size-slider").hidden = !["brush", "eraser", "line"].includes(drawing.tool);
	};
	const history = () => {
		$("undo").disabled = !drawing.history.past.length;
		$("redo").disabled = !drawing.history.future.length;
	};
	drawing.addEventListener("settings", settings);
	drawing.addEventListener("change", (event) => {
		$("hint").hidden = true;
		if (/** @type {CustomEvent} */ (event).detail.ended) history();
	});
	settings();
	history();

	const zoomed = () => i18n.write($("zoom-value"), () => i18n.percent(view.zoom));
	view.below.addEventListener("zoomed", zoomed);
	zoomed();

	/** The class under the mouse, by name: colours alone are hard to tell apart. */
	const under = (event) => {
		const { x, y } = view.point(event), id = drawing.at(x, y);
		if (id < 0) return;
		i18n.write($("under-cursor"), () =>
			i18n.t("under_cursor", { name: palette.name(id), x: Math.floor(x), y: Math.floor(y) }));
	};
	view.below.addEventListener("pointermove", under);
	view.below.addEventListener("pointerdown", under);
}

/** Which of drawing and image a narrow screen shows. */
export function panes() {
	const buttons = all("[data-show]"), [main] = all("main");
	for (const button of buttons) {
		button.addEventListener("click", () => {
			main.dataset.shown = button.dataset.show;
			for (const other of buttons) other.ariaPressed = String(other === button);
		});
	}
}

/**
 * Ask in a dialog. @param {() => string} question @param {() => string} yes @returns {Promise<boolean>}
 */
export function ask(question, yes) {
	const dialog = $("ask");
	i18n.write($("ask-text"), question);
	i18n.write($("ask-yes"), yes);
	dialog.returnValue = "";
	dialog.showModal();
	return new Promise((resolve) =>
		dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

/**
 * Show a question above the page that needs no answer.
 * @param {() => string} question @param {() => string} yes @param {() => string} no @returns {Promise<boolean | null>}
 */
export function offer(question, yes, no) {
	i18n.write($("notice-text"), question);
	i18n.write($("notice-yes"), yes);
	i18n.write($("notice-no"), no);
	$("notice").hidden = false;
	return new Promise((resolve) => {
		const answer = (/** @type {boolean | null} */ value) => () => {
			$("notice").hidden = true;
			resolve(value);
		};
		$("notice-yes").onclick = answer(true);
		$("notice-no").onclick = answer(false);
		closeOffer = answer(null);
	});
}

/** Take the question away. @type {() => void} */
export let closeOffer = () => {};
